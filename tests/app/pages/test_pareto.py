"""The page of fronts."""

from pathlib import Path

from tests import stores, support
from tests.app.drawn import charts, headings, page, table, texts


def test_every_device_has_a_front(showcased: Path) -> None:
    test = page("pareto")
    assert len(charts(test)) == 3
    assert "**Perplexity against decode speed** · desktop" in headings(test)[0]


def test_where_each_stands_is_told_by_size_and_in_the_table(showcased: Path) -> None:
    test = page("pareto", device="laptop", x="Peak memory", y="Decode speed")
    (spec,) = charts(test)
    (points,) = (layer for layer in spec["layer"] if layer["mark"]["type"] == "point")
    assert points["encoding"]["size"]["scale"]["range"] == [190, 75, 30]
    rows = table(test, "Front").set_index(["Model", "Type"])
    assert rows.loc[("qwen-0.5B", "Q2_K"), "Front"] == "on"
    assert rows.loc[("qwen-3B", "F16"), "Front"] == "off", "larger and slower than all others"
    assert "qwen-" in str(rows.loc[("qwen-3B", "F16"), "Beaten by"])
    assert "on the front" in texts(test)


def test_the_address_holds_the_metrics(showcased: Path) -> None:
    test = page("pareto", device="laptop", x="Perplexity", y="Peak memory")
    assert headings(test) == ["**Peak memory against perplexity**"]
    rows = table(test, "Front").set_index(["Model", "Type"])
    assert rows.loc[("qwen-3B", "F16"), "Front"] != "off", "the best perplexity of all"


def test_what_lacks_a_figure_is_told_with_the_reason(showcased: Path) -> None:
    test = page("pareto", x="Mean power", y="Decode speed")
    assert len(charts(test)) == 1
    assert "16 not placed" in texts(test)


def test_one_metric_alone_has_no_front(showcased: Path) -> None:
    test = page("pareto", x="Load time", y="Load time")
    assert "Choose two metrics" in texts(test)
    assert not charts(test)


def test_without_figures_it_says_so(path: Path) -> None:
    stores.begun(path).add_plan("run-1", [support.trial()], 1)
    assert "None of the chosen trials has been measured yet" in texts(page("pareto"))
