import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import SettingError, UsageError
from odllm_agent.settings import ENGINE_SETTINGS, check_settings


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


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="llama_cpp"):
        check_settings("abacus", {})


@given(
    st.dictionaries(
        st.sampled_from([*ENGINE_SETTINGS["llama_cpp"].__annotations__, "other"]),
        st.one_of(st.integers(), st.text(max_size=5), st.booleans(), st.none(), st.floats()),
    )
)
def test_any_values_are_either_honoured_as_given_or_refused(values: dict[str, object]) -> None:
    try:
        settings = check_settings("llama_cpp", {"threads": 1} | values)
    except SettingError:
        return
    assert all(settings[name] == value for name, value in values.items())
