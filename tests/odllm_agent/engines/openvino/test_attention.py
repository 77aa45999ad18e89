"""The paged form beside the stateful one: the same answers, whatever the blocks are."""

from collections.abc import Iterator, Sequence

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odllm_agent.contract import ModelFile
from odllm_agent.engines.base import Session
from odllm_agent.engines.openvino.attention import cache_ports
from odllm_agent.errors import EngineError
from tests.odllm_agent.engines.loading import CONTEXT, last_logits, load

pytestmark = pytest.mark.usefixtures("one_cache")
BLOCK = 32
TEXT = [int(token) for token in np.random.default_rng(5).integers(0, 512, CONTEXT)]
OTHER = [int(token) for token in np.random.default_rng(6).integers(0, 512, CONTEXT)]
# Both forms compute with f32, each in its own order; logits of the tiny model lie within 10.
CLOSE = 1e-4


@pytest.fixture(scope="module")
def paged(model: ModelFile) -> Iterator[Session]:
    with load(model, attention="paged") as session:
        yield session


@pytest.fixture(scope="module")
def stateful(model: ModelFile) -> Iterator[Session]:
    with load(model, attention="stateful") as session:
        yield session


def block_shapes(session: Session) -> set[tuple[int, ...]]:
    request = session._request  # type: ignore[attr-defined]
    names = cache_ports(session._compiled)  # type: ignore[attr-defined]
    return {tuple(request.get_tensor(name).shape) for name in names}


@pytest.mark.parametrize(
    "n_tokens", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, CONTEXT]
)
def test_both_forms_give_the_same_logits(paged: Session, stateful: Session, n_tokens: int) -> None:
    ours, theirs = paged.logits(TEXT[:n_tokens]), stateful.logits(TEXT[:n_tokens])
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < CLOSE
    assert np.ptp(theirs, axis=1).min() > 1000 * CLOSE


def test_only_the_logits_that_are_wanted_are_given(paged: Session) -> None:
    whole = paged.logits(TEXT[:70])
    assert np.abs(paged.logits(TEXT[:70], first=50) - whole[50:]).max() < CLOSE


@given(st.lists(st.integers(1, CONTEXT), max_size=4).map(sorted), st.integers(2, CONTEXT))
@settings(max_examples=25)
def test_it_does_not_matter_how_a_text_comes_in_parts(
    paged: Session, cuts: list[int], n_tokens: int
) -> None:
    text = TEXT[:n_tokens]
    paged.reset()
    for part in parts(text[:-1], cuts):
        paged.fill(part)
    paged.decode(text[-1:])
    last = last_logits(paged)
    assert np.abs(last - paged.logits(text)[-1]).max() < CLOSE


def parts(text: Sequence[int], cuts: list[int]) -> list[Sequence[int]]:
    """A text cut at these places, or at its end."""
    ends = [*(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def test_a_prompt_after_depth_is_at_its_place(paged: Session, stateful: Session) -> None:
    found = []
    for session in (paged, stateful):
        session.reset()
        session.fill(TEXT[:45])
        session.prefill(TEXT[45:100])
        session.decode(TEXT[100:140])
        found.append(last_logits(session))
    assert np.abs(found[0] - found[1]).max() < CLOSE


@pytest.mark.parametrize("n_tokens", [5, BLOCK, 70])
def test_nothing_of_an_earlier_text_is_left(model: ModelFile, n_tokens: int) -> None:
    with load(model) as fresh:
        fresh.prefill(TEXT[:n_tokens])
        expected = last_logits(fresh)
        fresh.reset()
        fresh.fill(OTHER)
        fresh.reset()
        fresh.prefill(TEXT[:n_tokens])
        assert np.array_equal(last_logits(fresh), expected)


@pytest.mark.parametrize("context_tokens", [1, BLOCK, BLOCK + 1, 70])
def test_a_context_is_used_to_its_last_token(
    model: ModelFile, stateful: Session, context_tokens: int
) -> None:
    text = TEXT[:context_tokens]
    with load(model, context_tokens) as session:
        session.fill(text[:-1])
        session.decode(text[-1:])
        last = last_logits(session)
        assert np.abs(last - stateful.logits(text)[-1]).max() < CLOSE
        with pytest.raises(EngineError, match="1 more tokens do not fit"):
            session.decode([1])
        with pytest.raises(EngineError, match="1 more tokens do not fit"):
            session.fill([1])


@pytest.mark.parametrize(("context_tokens", "n_blocks"), [(1, 1), (32, 1), (33, 2), (256, 8)])
def test_blocks_are_allocated_for_the_context_that_was_asked_for(
    model: ModelFile, context_tokens: int, n_blocks: int
) -> None:
    """The tiny model has two heads of keys and values, of width 64."""
    with load(model, context_tokens) as session:
        assert block_shapes(session) == {(n_blocks, 2, BLOCK, 64)}


def test_blocks_that_no_memory_holds_are_refused(model: ModelFile) -> None:
    with pytest.raises(
        EngineError, match=r"blocks of keys and values on CPU: .*bad_alloc"
    ) as caught:
        load(model, 2**45)
    assert "shorter workload" in caught.value.remedy


def test_many_rounds_take_no_more_memory(paged: Session) -> None:
    """If each round took new blocks, these would be 50 MB."""

    def rounds(count: int) -> int:
        for _ in range(count):
            paged.reset()
            paged.prefill(TEXT[:BLOCK])
            paged.decode(TEXT[BLOCK : BLOCK + 4])
        return int(psutil.Process().memory_info().rss)

    before_bytes = rounds(100)
    assert rounds(400) - before_bytes < 10_000_000


def test_quantized_blocks_answer_nearly_as_exact_ones(model: ModelFile, paged: Session) -> None:
    exact = paged.logits(TEXT)
    with load(model, kv_cache_precision="u8") as session:
        rounded = session.logits(TEXT)
    assert (rounded.argmax(axis=1) == exact.argmax(axis=1)).mean() > 0.95
    assert not np.array_equal(rounded, exact)


def test_the_stateful_form_has_no_blocks(stateful: Session) -> None:
    assert cache_ports(stateful._compiled) == {}  # type: ignore[attr-defined]
