"""Choosing devices."""

import pytest

from odllm_agent.contract import MeterReport, Method
from odllm_agent.errors import UsageError
from odllm_agent.meters import _MODULES
from odllm_controller.experiment.selection import METERS, Selection, told
from tests import support

LAPTOP = support.device()
METERED = support.device(meters=(MeterReport("rapl", ("package",), Method.MEASURED),))


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("ram_gb >= 16 and engine.llama_cpp", True),
        ("engine.openvino", False),
        ("meter.rapl", False),
        ("name == 'laptop'", True),
        ("name in ['a', 'b']", False),
        ("cores == 8 and threads == 16", True),
        ("'Linux' in system", True),
        ("kind == 'real'", True),
        ("label.room == '12'", True),
        ("label.floor == '3'", False),
    ],
)
def test_devices_are_chosen_by_what_they_are(text: str, chosen: bool) -> None:
    assert Selection(text).includes(LAPTOP, {"room": "12"}) is chosen


def test_a_meter_that_reads_nothing_is_none() -> None:
    assert Selection("meter.rapl").includes(METERED, {})


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("ram > 3", "'ram'"),
        ("engine.warp", "warp"),
        ("meter.warp", "warp"),
        ("ram_gb >=", "no expression"),
        ("ram_gb > 'a'", "'>' not supported"),
        ("__import__('os').system('true')", "__import__"),
        ("name.__class__", "__"),
        ("9**9**9", "9"),
    ],
)
def test_a_wrong_word_is_wrong_usage_with_the_words_there_are(text: str, culprit: str) -> None:
    with pytest.raises(UsageError) as caught:
        Selection(text).includes(LAPTOP, {})
    assert culprit in caught.value.message
    for name in ("ram_gb", "engine.NAME (llama_cpp", "meter.NAME (rapl", "label.NAME"):
        assert name in caught.value.remedy


def test_what_a_device_has_is_told_in_a_line() -> None:
    assert told(METERED, {"room": "12"}) == (
        "laptop: ram_gb=16.0; cores=8; threads=16; system='Linux 6.1'; kind='real'; "
        "engine: llama_cpp; meter: rapl; label.room='12'"
    )


def test_every_meter_can_be_named() -> None:
    assert set(METERS) == set(_MODULES)
