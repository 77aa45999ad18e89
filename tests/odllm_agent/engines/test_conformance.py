"""What every engine of the table keeps to; a new one is tried by being in it."""

import numpy as np
import pytest

from odllm_agent import engines
from odllm_agent.contract import ModelFile
from odllm_agent.engines.base import Session
from odllm_agent.engines.settings import ENGINE_SETTINGS, check_settings
from odllm_agent.errors import EngineError, OdllmError, SettingError
from odllm_controller.overrides import conf
from tests.odllm_agent.engines.loading import asked

TOKENS = (3, 1, 4, 1, 5, 9, 2, 6)
CONTEXT = 16
each_engine = pytest.mark.parametrize("name", engines._MODULES)


def loaded(name: str, model: ModelFile) -> Session:
    return engines.load(asked(name), model, CONTEXT)


@each_engine
def test_it_has_settings_a_config_and_tells_what_it_is(name: str) -> None:
    assert "threads" in check_settings(name, {"threads": 1})
    assert ENGINE_SETTINGS[name].install
    assert conf.option("engine", name).exists()
    version, _, variants = engines.told(name)
    assert version
    assert all(variants)


@each_engine
def test_a_setting_that_it_does_not_know_is_refused_by_name(name: str) -> None:
    with pytest.raises(SettingError, match="warp_speed"):
        check_settings(name, {"threads": 1, "warp_speed": 9})


@each_engine
def test_windows_of_token_ids_have_times_and_end_in_numbers(name: str, model: ModelFile) -> None:
    with loaded(name, model) as session:
        session.reset()
        prefill = session.prefill(TOKENS)
        assert 0 < prefill.prefill_s <= prefill.ttft_s
        times = session.decode(TOKENS[:3])
        assert len(times) == 3
        assert all(each > 0 for each in times)
        assert session.is_sound()


@each_engine
def test_logits_are_of_each_token_and_the_same_however_they_are_reached(
    name: str, model: ModelFile
) -> None:
    with loaded(name, model) as session:
        at_once = session.logits(TOKENS, first=5)
        assert at_once.shape == (3, session.vocabulary)
        assert np.isfinite(at_once).all()
        session.reset()
        session.fill(TOKENS[:-1])
        last = session.extend(TOKENS[-1:])
        assert last.argmax() == at_once[-1].argmax()


@each_engine
def test_more_tokens_than_its_context_holds_are_refused(name: str, model: ModelFile) -> None:
    with loaded(name, model) as session, pytest.raises(EngineError):
        session.fill(TOKENS * 3)


@each_engine
def test_a_text_comes_back_from_its_tokens(name: str, model: ModelFile) -> None:
    with loaded(name, model) as session:
        assert "a" in session.detokenize(session.tokenize("a"))


@each_engine
def test_a_type_that_it_cannot_multiply_is_refused_in_words(name: str) -> None:
    with pytest.raises(OdllmError) as refused:
        engines.ceilings(name).operations_per_s(asked(name), "Q99_X", 0.01)
    assert refused.value.message
