import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.engines.settings import ENGINE_SETTINGS, check_settings
from odllm_agent.errors import SettingError, UsageError


def test_what_is_not_set_gets_its_default() -> None:
    settings = check_settings("llama_cpp", {"threads": 2})
    assert (settings["threads"], settings["batch_tokens"]) == (2, 2048)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"threads": 2, "warp": 9}, "'warp'"),
        ({"threads": "two"}, "threads='two' is not a whole number"),
        ({"threads": True}, "threads=True is not a whole number"),
        ({"threads": 0}, "threads=0 is not at least 1"),
        ({"threads": 2, "flash_attention": "maybe"}, "one of auto, on, off"),
        ({"threads": 2, "mmap": "yes"}, "mmap='yes' is not true or false"),
        ({"threads": 2, "batch_tokens": 8, "ubatch_tokens": 16}, "ubatch_tokens=16"),
        ({"threads": 2, "kv_type_v": "q8_0", "flash_attention": "off"}, "kv_type_v=q8_0"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(values: dict[str, object], told: str) -> None:
    with pytest.raises(SettingError) as caught:
        check_settings("llama_cpp", values)
    assert told in caught.value.message
    assert caught.value.remedy


def test_openvino_is_left_to_itself_by_default() -> None:
    settings = check_settings("openvino", {})
    assert (settings["device"], settings["threads"]) == ("CPU", 0)
    assert settings["attention"] == "paged"
    assert settings["inference_precision"] == settings["kv_cache_precision"] == "auto"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"device": "TPU"}, "one of CPU, GPU, NPU"),
        ({"attention": "sdpa"}, "attention='sdpa' is not one of paged, stateful"),
        ({"threads": -1}, "threads=-1 is not at least 0"),
        ({"kv_cache_precision": "q8_0"}, "kv_cache_precision='q8_0'"),
        ({"cpu_pinning": True}, "cpu_pinning=True is not one of auto, on, off"),
        ({"mmap": True}, "openvino has no setting named 'mmap'"),
    ],
)
def test_what_openvino_does_not_know_is_refused_by_name(
    values: dict[str, object], told: str
) -> None:
    with pytest.raises(SettingError, match=re.escape(told)):
        check_settings("openvino", values)


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="llama_cpp"):
        check_settings("abacus", {})


NAMES = sorted({name for kind in ENGINE_SETTINGS.values() for name in kind.__annotations__})


@given(
    st.sampled_from(list(ENGINE_SETTINGS)),
    st.dictionaries(
        st.sampled_from([*NAMES, "other"]),
        st.one_of(st.integers(), st.text(max_size=5), st.booleans(), st.none(), st.floats()),
    ),
)
def test_any_values_are_either_honoured_as_given_or_refused(
    engine: str, values: dict[str, object]
) -> None:
    try:
        settings = check_settings(engine, {"threads": 1} | values)
    except SettingError:
        return
    assert all(settings[name] == value for name, value in values.items())
