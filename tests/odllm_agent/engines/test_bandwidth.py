"""The buffer that is read to tell the bandwidth, in small."""

import itertools

import pytest

from odllm_agent.engines import bandwidth
from odllm_agent.errors import EngineError

BYTES = 2**20


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_pass_reads_every_part_once_and_counts_what_it_reads(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, int]] = []
    counted: list[float] = []

    def dot(n_values: int, first: int, second: int) -> None:
        read.extend((start, start + 4 * n_values) for start in (first, second))

    def once(amount: float, run, budget_s: float) -> float:  # type: ignore[no-untyped-def]
        run()
        counted.append(amount)
        return amount

    monkeypatch.setattr(bandwidth, "BUFFER_BYTES", BYTES)
    monkeypatch.setattr(bandwidth, "dot_product", lambda _: dot)
    monkeypatch.setattr(bandwidth, "best_per_s", once)
    bandwidth.read_bytes_per_s(threads, available_bytes=4 * BYTES, budget_s=0)
    ends = sorted(read)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))
    assert sum(end - start for start, end in read) == counted[0]
    assert counted[0] > 0.95 * BYTES


def test_real_memory_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "BUFFER_BYTES", BYTES)
    assert bandwidth.read_bytes_per_s(2, available_bytes=4 * BYTES, budget_s=0) > 0


def test_without_memory_for_the_buffer_nothing_is_measured() -> None:
    with pytest.raises(EngineError, match="free memory"):
        bandwidth.read_bytes_per_s(1, available_bytes=BYTES, budget_s=0)
