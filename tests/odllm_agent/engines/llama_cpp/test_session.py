"""The real llama.cpp on a small model file of the tests' own."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_cpp import llama_cpp as native

from odllm_agent import engines
from odllm_agent.contract import Anatomy, ModelFile, to_json
from odllm_agent.engines.base import Session
from odllm_agent.engines.llama_cpp import session as llama_cpp
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import EngineError, SettingError
from odllm_agent.host import cores
from tests import support
from tests.models import TINY, write_gguf

PROMPT = tuple(range(40))
CONTEXT = 256


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    path = write_gguf(tmp_path_factory.mktemp("model") / "tiny-F16.gguf")
    return dataclasses.replace(support.model_file(quantization="F16"), path=str(path))


def load(model: ModelFile, **settings: int | str) -> Session:
    checked = check_settings("llama_cpp", {"threads": 1, **settings})
    engine = dataclasses.replace(support.engine(), settings=checked)
    return engines.load(engine, model, CONTEXT)


@pytest.fixture
def session(model: ModelFile) -> Iterator[Session]:
    with load(model) as opened:
        yield opened


class VirtualClock:
    """A clock that only llama.cpp's own calls move, so that windows can be told to the digit."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def costs(self, call: Callable[..., Any], price_ns: Callable[..., int]) -> Callable[..., Any]:
        def priced(*arguments: Any) -> Any:
            answer = call(*arguments)
            self.now_ns += price_ns(*arguments)
            return answer

        return priced


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    clock = VirtualClock()
    prices: dict[str, Callable[..., int]] = {
        "llama_decode": lambda _, batch: 1_000_000 * batch.n_tokens,
        "llama_synchronize": lambda _: 10_000_000,
        "llama_sampler_sample": lambda *_: 5_000_000,
    }
    for name, price in prices.items():
        monkeypatch.setattr(native, name, clock.costs(getattr(native, name), price))
    monkeypatch.setattr(llama_cpp, "monotonic_ns", clock)
    return clock


def test_prefill_times_every_token_of_the_prompt_and_waits_for_the_logits(
    session: Session, clock: VirtualClock
) -> None:
    assert session.prefill(PROMPT).prefill_s == pytest.approx(0.040 + 0.010)


def test_time_to_first_token_is_prefill_and_the_choice_of_a_token(
    session: Session, clock: VirtualClock
) -> None:
    assert session.prefill(PROMPT).ttft_s == pytest.approx(0.040 + 0.010 + 0.005)


def test_a_prompt_longer_than_a_batch_is_timed_whole(model: ModelFile, clock: VirtualClock) -> None:
    with load(model, batch_tokens=16, ubatch_tokens=16) as session:
        assert session.prefill(PROMPT).prefill_s == pytest.approx(0.040 + 3 * 0.010)


def test_each_decoded_token_is_timed_alone_and_nothing_else_is(
    session: Session, clock: VirtualClock
) -> None:
    session.prefill(PROMPT)
    assert session.decode((1, 2, 3)) == pytest.approx((0.011, 0.011, 0.011))


def test_what_fills_the_context_is_in_no_window(session: Session, clock: VirtualClock) -> None:
    session.fill(range(100))
    assert session.prefill(PROMPT).prefill_s == pytest.approx(0.050)


def test_tokens_decoded_one_by_one_give_the_logits_of_the_whole_text(session: Session) -> None:
    text = [5, 250, 17, 99, 3, 42]
    whole = session.logits(text)
    session.reset()
    session.prefill(text[:3])
    session.decode(text[3:])
    last = np.ctypeslib.as_array(
        native.llama_get_logits(session._context),  # type: ignore[attr-defined]
        shape=(session.vocabulary,),
    )
    assert np.allclose(last, whole[-1], atol=0.02)
    assert not np.allclose(last, whole[-2], atol=0.02)


def test_depth_counts_as_context(session: Session) -> None:
    text = [5, 250, 17, 99, 3, 42]
    session.fill(text[:2])
    session.prefill(text[2:])
    deep = np.ctypeslib.as_array(
        native.llama_get_logits(session._context),  # type: ignore[attr-defined]
        shape=(session.vocabulary,),
    ).copy()
    assert np.allclose(deep, session.logits(text)[-1], atol=0.02)


def test_logits_do_not_depend_on_how_the_text_is_batched(model: ModelFile) -> None:
    text = list(range(60))
    with load(model) as whole, load(model, batch_tokens=7, ubatch_tokens=7) as pieces:
        assert np.allclose(whole.logits(text), pieces.logits(text), atol=0.02)


def test_logits_match_when_the_context_is_used_again(session: Session) -> None:
    first = session.logits(PROMPT)
    session.reset()
    session.prefill(PROMPT[:9])
    assert np.array_equal(session.logits(PROMPT), first)


@pytest.mark.parametrize("batch_tokens", [512, 16, 7])
@pytest.mark.parametrize("first", [0, 1, 20, 39])
def test_logits_from_a_place_on_are_the_last_rows_however_they_are_batched(
    model: ModelFile, session: Session, batch_tokens: int, first: int
) -> None:
    whole = session.logits(PROMPT)
    with load(model, batch_tokens=batch_tokens, ubatch_tokens=batch_tokens) as pieces:
        rows = pieces.logits(PROMPT, first)
    assert rows.shape == (len(PROMPT) - first, session.vocabulary)
    assert np.allclose(rows, whole[first:], atol=0.02)
    assert not np.allclose(rows[0], whole[first - 1], atol=0.02)


def test_logits_stay_as_they_are_when_the_session_goes_on(session: Session) -> None:
    first = session.logits(PROMPT)
    kept = first.copy()
    session.logits(PROMPT[::-1])
    assert np.array_equal(first, kept)


def test_a_context_extended_bit_by_bit_gives_the_logits_of_the_whole(session: Session) -> None:
    whole = session.logits(PROMPT)
    session.reset()
    session.extend(PROMPT[:30])
    session.extend(PROMPT[30:31])
    last = session.extend(PROMPT[31:])
    assert last.shape == (session.vocabulary,)
    assert np.allclose(last, whole[-1], atol=0.02)
    assert not np.allclose(last, whole[-2], atol=0.02)


def test_a_tokenizer_that_wants_a_start_token_says_which(tmp_path: Path, session: Session) -> None:
    assert session.start_token is None
    path = write_gguf(tmp_path / "start.gguf", starts=True)
    wanting = dataclasses.replace(support.model_file(quantization="F16"), path=str(path))
    with load(wanting) as opened:
        assert opened.start_token == TINY.vocabulary - 1
        assert opened.start_token not in opened.tokenize("abc")


def test_a_text_is_tokenized_without_added_tokens(session: Session) -> None:
    assert session.tokenize("") == []
    assert len(session.tokenize("abc")) <= 3


@pytest.mark.parametrize(
    "settings",
    [
        {"flash_attention": "on"},
        {"flash_attention": "off"},
        {"kv_type_k": "q8_0", "kv_type_v": "q8_0"},
        {"mmap": False},
        {"repack": False},
        {"threads": 2},
        {"batch_tokens": 32, "ubatch_tokens": 16},
    ],
)
def test_every_setting_still_gives_the_same_answer(
    model: ModelFile, settings: dict[str, int | str]
) -> None:
    with load(model) as plain, load(model, **settings) as changed:
        difference = np.abs(plain.logits(PROMPT) - changed.logits(PROMPT)).max()
    assert difference < 0.2


def test_settings_reach_llama_cpp(model: ModelFile, capfd: pytest.CaptureFixture[str]) -> None:
    with load(
        model, kv_type_k="q8_0", flash_attention="on", batch_tokens=64, ubatch_tokens=32, mmap=False
    ):
        log = capfd.readouterr().err
    for word in ("K (q8_0)", "flash_attn            = enabled", "n_batch               = 64"):
        assert word in log
    assert "n_ubatch              = 32" in log
    assert "CPU_Mapped" not in log


def test_threads_reach_llama_cpp(model: ModelFile) -> None:
    with load(model, threads=2) as session:
        assert native.llama_n_threads(session._context) == 2  # type: ignore[attr-defined]
        assert native.llama_n_threads_batch(session._context) == 2  # type: ignore[attr-defined]


# The second CPU is none that any machine has, so that two threads share the first.
KEPT_TO_ONE = """
import os, sys
from pathlib import Path
from odllm_agent import engines
from odllm_agent.host import cores, linux
from odllm_agent.contract import Trial, from_json

every = linux.cpus()
cores.types = lambda: {"efficiency": (every[-1], 1000)}
trial = from_json(Trial, sys.argv[1])
with engines.load(trial.engine, trial.model, 64) as session:
    session.prefill(range(40))
    tasks = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    print([os.sched_getaffinity(task) == {every[-1]} for task in tasks], linux.cpus() == every[-1:])
print(linux.cpus() == every)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells types of cores")
def test_all_threads_compute_on_the_type_of_cores_that_was_asked_for(model: ModelFile) -> None:
    settings = check_settings("llama_cpp", {"threads": 2, "core_type": "efficiency"})
    trial = support.trial(model, **settings)  # type: ignore[arg-type]
    # In a process of its own, as a trial is: OpenMP keeps threads that were started before.
    done = subprocess.run(
        [sys.executable, "-c", KEPT_TO_ONE, to_json(trial)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[True, True] True", "True"]


def test_a_type_of_cores_that_is_not_there_is_refused(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "types", dict)
    with pytest.raises(SettingError, match="core_type=performance"):
        load(model, core_type="performance")


def test_gpu_layers_are_refused_by_a_build_for_the_cpu(model: ModelFile) -> None:
    if native.llama_supports_gpu_offload():
        pytest.skip("this llama.cpp can use a GPU")
    with pytest.raises(SettingError, match="gpu_layers=1"):
        load(model, gpu_layers=1)


def test_a_file_that_llama_cpp_refuses_is_an_error_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"GGUF" + bytes(64))
    bad = dataclasses.replace(support.model_file(), path=str(path))
    with pytest.raises(EngineError, match=r"bad\.gguf"):
        load(bad)


def test_more_tokens_than_the_context_holds_is_an_error(session: Session) -> None:
    with pytest.raises(EngineError, match="do not fit"):
        session.fill([1] * (CONTEXT + 1))
    session.fill([1] * CONTEXT)
    with pytest.raises(EngineError, match="do not fit"):
        session.decode([1])


def test_version_names_the_commit_of_llama_cpp() -> None:
    version = engines.versions()["llama_cpp"]
    package, _, commit = version.partition("+")
    assert package.count(".") == 2
    assert len(commit) >= 7


def test_what_is_held_is_what_the_file_holds_with_the_cache_that_was_asked_for(
    model: ModelFile,
) -> None:
    told = dataclasses.replace(model, anatomy=Anatomy(kv_values=6, query_values=4))
    with load(told, kv_type_k="q8_0", flash_attention="on") as session:
        assert session.anatomy == told.anatomy
        assert session.kv_cache.type == "Q8_0"
        assert session.kv_cache.value_bytes == (34 / 32 + 2) / 2


def test_what_is_rewound_leaves_no_trace(session: Session) -> None:
    session.fill(PROMPT)
    expected = [session.extend([token]) for token in (50, 51)]
    assert session.rewind(len(PROMPT))
    assert np.array_equal([session.extend([token]) for token in (50, 51)], expected)
    assert session.rewind(0)
    session.fill(PROMPT)
    assert np.allclose(session.extend([50]), expected[0], atol=1e-5)
