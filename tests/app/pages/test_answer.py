"""The page that the explorer opens on."""

from pathlib import Path

import pytest

from tests import stores, support
from tests.app.drawn import charts, page, table, texts


def test_it_opens_first_and_answers_for_every_device(showcased: Path) -> None:
    test = page()
    told = texts(test)
    for device in ("laptop", "desktop", "slice\\-1 \\(virtual\\)"):
        assert f"{device}, short\\: 128 in, 64 out" in told
    assert len(test.success) == 3
    assert "The first is the best of 8 with" in test.success[0].value


def test_the_address_holds_objective_and_limits(showcased: Path) -> None:
    test = page(device="laptop", objective="speed", memory="3GB", decode="20")
    assert (test.text_input("memory").value, test.text_input("decode").value) == ("3GB", "20")
    choices = table(test, "Best with")
    assert choices["Model"].tolist()[0] == "qwen-0.5B"
    assert choices["Type"].tolist()[:3] == ["Q2_K", "Q4_K_M", "Q8_0"]
    assert "What each limit costs" in texts(test)
    assert "Peak memory at most 3,000 MB" in texts(test).replace("\\", "")


def test_quality_is_bounded_by_what_there_is(showcased: Path) -> None:
    test = page(device="laptop", objective="memory", quality="12")
    best = table(test, "Best with").iloc[0]
    assert float(best["Perplexity"].split()[0]) <= 12
    assert best["Energy"] == "measured"


def test_the_chart_shows_the_choices_with_their_intervals(showcased: Path) -> None:
    test = page(device="laptop", objective="speed")
    assert len(charts(test)) == 1
    rows = table(test, "Probability that it is the best")
    assert len(rows) == 5
    speeds = rows["Decode speed (tok/s)"]
    assert speeds.is_monotonic_decreasing
    assert (rows["95 % from"] < speeds).all()
    assert (speeds < rows["95 % to"]).all()


def test_what_is_no_machine_is_told_by_its_mark(showcased: Path) -> None:
    real, virtual = (page(device=device) for device in ("laptop", "slice-1 (virtual)"))
    for test in (real, virtual):
        points = charts(test)[0]["layer"][1]
        assert points["encoding"]["fillOpacity"]["field"] == "filling"
    assert "· measured ·" in texts(real)
    assert "· virtual ·" in texts(virtual)


def test_limits_that_nothing_meets_are_blamed_with_what_comes_nearest(showcased: Path) -> None:
    test = page(device="laptop", memory="1MB")
    (warning,) = test.warning
    assert "Peak memory at most 1.00 MB alone rules everything out" in warning.value.replace(
        "\\", ""
    )
    assert len(table(test, "Best with")) == 1


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ({"memory": "much"}, "'much' is no limit of peak memory"),
        ({"memory": "8"}, "it has no unit"),
        ({"ttft": "<script>"}, "is no limit of time to first token"),
    ],
)
def test_nonsense_in_the_address_is_named_and_not_run(
    showcased: Path, address: dict[str, str], message: str
) -> None:
    test = page(**address)
    assert message in "\n".join(each.value for each in test.error).replace("\\", "")
    assert not test.success


def test_what_to_measure_next_is_a_ready_command(path: Path) -> None:
    results = [
        support.round_result(
            support.trial(support.model_file(quantization=kind)),
            index,
            tuple(support.repeat(n, token_s=0.01 * (1 + 0.2 * index)) for n in (1, 2, 3)),
        )
        for kind in ("Q4_0", "Q8_0")
        for index in range(2)
    ]
    stores.begun(path).add_results("run-1", results)
    test = page(objective="speed")
    (command,) = (each.value for each in test.code)
    assert command.startswith("odllm run +experiment=sweep")
    assert "rounds=5" in command


def test_predictions_are_marked_and_kept_apart(showcased: Path) -> None:
    test = page(device="laptop", objective="speed", predict="true")
    assert "predicted, not measured" not in texts(test), "all was measured here"


def test_without_figures_it_says_so(path: Path) -> None:
    stores.begun(path).add_plan("run-1", [support.trial()], 1)
    test = page()
    assert "None of the chosen trials has been measured yet" in texts(test)
