"""llama-bench's tables: what they tell, and what they leave out."""

import json

import pytest

from odllm_agent.offline.logbook import Damage
from odllm_controller.exchange.llama_bench.record import figures
from odllm_controller.exchange.records import records
from tests.odllm_controller.exchange.told import as_markdown, start_of

HEADING = (
    "| model | size | params | backend | ngl | test | t/s |\n"
    "| --- | ---: | ---: | --- | --: | --: | --: |\n"
)
ROW = "| qwen2 1.5B Q4_K - Medium | 1.04 GiB | 1.78 B | Vulkan | 99 | {test} | {speed} |\n"


def rows(text: str) -> list[dict[str, object]]:
    return [row for _, row in records(text) if isinstance(row, dict)]


def told(text: str) -> dict[int, str]:
    return {number: each.reason for number, each in records(text) if isinstance(each, Damage)}


def table(test: str = "pp512", speed: str = "5765.41 ± 20.55") -> str:
    return HEADING + ROW.format(test=test, speed=speed)


@pytest.mark.parametrize("more", ["", " with cc (Debian 14.2.0) 14.2.0 for x86_64-linux-gnu"])
def test_a_row_is_an_average_with_its_build_and_nothing_that_was_rounded_away(more: str) -> None:
    ((_, row),) = records(table() + f"\nbuild: abc1234 (7000){more}\n")
    found = figures(row, "bench.md", "Kitchen PC").row
    assert (found["model"], found["quantization"]) == ("qwen2 1.5B", "Q4_K_M")
    assert (found["engine_version"], found["device"]) == ("b7000 abc1234", "Kitchen PC")
    assert (found["prefill_tok_s"], found["repeats"], found["prompt_tokens"]) == (5765.41, 1, 512)
    assert (found["n_weights"], found["file_bpw"], found["run_started_at"]) == (None, None, None)
    settings = json.loads(str(found["settings"]))
    assert (settings["size"], settings["params"]) == ("1.04 GiB", "1.78 B")
    assert (settings["gpu_layers"], settings["backends"]) == (99, "Vulkan")
    assert "mean" in str(found["interval_reason"])


def test_without_a_name_for_the_device_it_is_refused_with_the_remedy() -> None:
    ((_, row),) = records(table())
    with pytest.raises(ValueError, match="--device"):
        figures(row, "bench.md")


@pytest.mark.parametrize(
    ("test", "sizes"),
    [
        ("pp512", (512, 0, 0)),
        ("tg128", (0, 128, 0)),
        ("pp 512", (512, 0, 0)),
        ("pp512 @ d4096", (512, 0, 4096)),
        ("tg128 @ d4096", (0, 128, 4096)),
        ("pp512+tg128", (512, 128, 0)),
        ("pp512+tg128 @ d64", (512, 128, 64)),
    ],
)
def test_the_sizes_of_a_test_are_read(test: str, sizes: tuple[int, int, int]) -> None:
    (row,) = rows(table(test))
    assert (row["n_prompt"], row["n_gen"], row["n_depth"]) == sizes


@pytest.mark.parametrize(
    "sign", ["±", "+-", "\N{BOX DRAWINGS LIGHT DOWN AND HORIZONTAL}\u2592", "Â±", "\udcb1", "?"]
)
def test_the_speed_survives_what_a_console_makes_of_its_sign(sign: str) -> None:
    (row,) = rows(as_markdown(start_of(), sign=sign))
    assert (row["avg_ts"], row["stddev_ts"]) == (512.0, 5.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (table("xx512"), "test: 'xx512'"),
        (table(""), "test: ''"),
        (table(speed="fast"), "t/s: 'fast'"),
        (table(speed="nan ± nan"), "t/s"),
        (table(speed="-5.0 ± 1.0"), "t/s"),
        (HEADING + "| qwen2 | 1.04 GiB | 1.78 B\n", "cut off"),
        (HEADING + "| qwen2 | 1.04 GiB |\n", "2 cells"),
        (HEADING + "| a | b | c | d | 99 | pp5 | 5.0\n", "cut off"),
        ("\n\n| a | b |\n", "heading"),
    ],
)
def test_a_row_that_is_none_is_told(text: str, reason: str) -> None:
    assert rows(text) == []
    assert reason in told(text)[3]


def test_each_table_has_the_build_behind_it_and_no_other() -> None:
    first, second, third = table("pp1"), table("pp2"), table("pp3")
    fourth = ROW.format(test="pp4", speed="1.0")
    text = f"{first}\nbuild: aaa (1)\n\nlog\n{second}\n{third}{fourth}\nbuild: ccc (3)\n"
    builds = {row["n_prompt"]: row.get("build_number") for row in rows(text)}
    assert builds == {1: 1, 2: None, 3: 3, 4: 3}
    assert list(told(text)) == [7]


def test_columns_that_are_not_known_tell_tests_apart() -> None:
    heading = HEADING.replace("ngl", "mla")
    one, other = rows(heading + ROW.format(test="tg1", speed="5.0") * 2)
    subjects = [figures(row | {"mla": n}, "f", "PC").start for n, row in enumerate((one, other))]
    assert len({start.subject for start in subjects if start}) == 2
