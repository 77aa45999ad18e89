import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import UsageError
from odllm_agent.meters.request import Request

WORDS = st.text(st.characters(exclude_characters=":,="), min_size=1, max_size=8)


def test_a_name_alone_has_no_settings() -> None:
    assert Request.parse("rapl") == Request("rapl", "rapl", {})


def test_a_path_is_taken_whole() -> None:
    request = Request.parse("external:path=C:/lab/power=1.csv")
    assert request.settings == {"path": "C:/lab/power=1.csv"}


@given(WORDS, st.dictionaries(WORDS, WORDS, min_size=1))
def test_settings_come_back_as_they_were_written(name: str, settings: dict[str, str]) -> None:
    text = f"{name}:{','.join(f'{key}={value}' for key, value in settings.items())}"
    assert Request.parse(text) == Request(text, name, settings)


@pytest.mark.parametrize("text", ["estimate:28", "estimate:tdp_w=", "estimate:tdp_w=1,tdp_w=2"])
def test_a_setting_without_one_value_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(UsageError, match=r"has no \w+=VALUE, or more than one") as caught:
        Request.parse(text)
    assert caught.value.remedy == "write estimate:KEY=VALUE,KEY=VALUE"


def test_an_unknown_setting_is_named_beside_the_known_ones() -> None:
    with pytest.raises(UsageError, match="estimate has no setting watts") as caught:
        Request.parse("estimate:watts=28").check(("tdp_w", "idle_w"))
    assert caught.value.remedy == "it has tdp_w, idle_w"


def test_a_number_that_is_not_given_is_missing_and_not_0() -> None:
    assert Request.parse("estimate:tdp_w=28").number("idle_w") is None


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "many"])
def test_a_setting_that_is_no_number_is_refused_by_name(value: str) -> None:
    with pytest.raises(UsageError, match=f"tdp_w={value}"):
        Request.parse(f"estimate:tdp_w={value}").number("tdp_w")
