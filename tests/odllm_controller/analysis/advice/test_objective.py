"""What somebody wants the best of: names, aliases, tasks and weights."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from odllm_agent.contract import Exam, QualityResult, Score
from odllm_agent.errors import UsageError
from odllm_controller.analysis.advice import kpi, objective
from odllm_controller.analysis.advice.objective import Objective, parse
from odllm_controller.analysis.queries import results
from odllm_controller.analysis.queries.tasks import with_errors, with_tasks
from odllm_controller.metrics import ALIASES, metric
from odllm_controller.overrides import conf
from tests import stores, support
from tests.odllm_controller.analysis.offers import asked, offer, offers, scored

ROWS = offers(
    offer("a", decode_tok_s=(10, 0.1), ttft_s=1.0, **asked(mine=0.5, other=0.7)),
    offer("b", decode_tok_s=(20, 0.1), ttft_s=4.0, **asked(mine=0.9, other=0.1)),
)


def best(aim: Objective, rows: pd.DataFrame = ROWS) -> str:
    judged = aim.goodness(with_tasks(rows, aim.metrics)).middle
    return str(rows["model"].iloc[int(judged.argmax())])


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_stands_for_its_metric(alias: str, name: str) -> None:
    assert parse(alias, ROWS).metrics == (metric(name),)
    assert parse(name, ROWS).metrics == (metric(name),)


def test_an_accuracy_of_few_questions_decides_nothing_where_there_is_a_perplexity() -> None:
    few = {"accuracy": 0.25, "accuracy_se": 0.16}
    rows = offers(offer("a", perplexity=9.0, **few), offer("b", perplexity=8.0, **few))
    aim = parse("quality", rows)
    assert aim.metrics == (metric("perplexity"),)
    assert "too few questions were asked for an accuracy" in aim.note
    enough = rows.assign(accuracy_se=[0.16, 0.04])
    assert parse("quality", enough).metrics == (metric("accuracy"),)
    assert parse("quality", rows.assign(perplexity=None)).metrics == (metric("accuracy"),)


@pytest.mark.parametrize(
    ("name", "first"), [("speed", "b"), ("latency", "a"), ("quality", "a"), ("task:mine", "b")]
)
def test_the_best_is_the_one_that_is_better_by_it(name: str, first: str) -> None:
    assert best(parse(name, ROWS)) == first


def test_quality_is_the_accuracy_where_any_row_has_one_and_else_the_perplexity() -> None:
    aim = parse("quality", ROWS)
    assert (aim.metrics, aim.note) == (
        (metric("accuracy"),),
        "quality is the accuracy, a mean over tasks",
    )
    rows = offers(offer("a", perplexity=9.0), offer("a", perplexity=8.0))
    aim = parse("quality", rows)
    assert aim.metrics == (metric("perplexity"),)
    assert "no row has an accuracy" in aim.note
    assert "tokenizer" not in aim.note


def test_perplexities_of_several_models_come_with_a_warning() -> None:
    rows = offers(offer("a", perplexity=9.0), offer("b", perplexity=8.0))
    assert "only where they share a tokenizer" in parse("quality", rows).note


def test_no_quality_at_all_is_told_with_its_reason() -> None:
    rows = offers(offer(perplexity_reason="its weights are random"))
    with pytest.raises(UsageError) as raised:
        parse("quality", rows)
    assert raised.value.message == "no row has a quality: its weights are random"


def test_a_name_that_is_none_gets_what_may_have_been_meant() -> None:
    with pytest.raises(UsageError) as raised:
        parse("qualty", ROWS)
    assert raised.value.message == "there is no objective 'qualty'"
    assert "quality" in raised.value.remedy


def test_a_weighted_objective_is_a_geometric_mean_of_ratios(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("decode_tok_s: 3\nttft_s: 1\n")
    judged = parse(str(path), ROWS).goodness(ROWS).middle
    ratio = np.exp(judged[1] - judged[0])
    assert ratio == pytest.approx((20 / 10) ** 0.75 * (1 / 4) ** 0.25)


def test_only_the_proportions_of_weights_count(tmp_path: Path) -> None:
    goodnesses = []
    for factor in (1, 10):
        path = tmp_path / f"{factor}.yaml"
        path.write_text(f"decode_tok_s: {3 * factor}\nttft_s: {factor}\n")
        goodnesses.append(parse(str(path), ROWS).goodness(ROWS).middle)
    assert goodnesses[0] == pytest.approx(goodnesses[1])


def test_weights_share_the_spread(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("decode_tok_s: 1\nttft_s: 1\n")
    assert parse(str(path), ROWS).goodness(ROWS).sd == pytest.approx([0.05, 0.05])


def test_a_figure_of_nothing_is_the_worst_by_a_weighted_objective(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("decode_tok_s: 1\naccuracy: 1\n")
    rows = offers(
        offer("a", decode_tok_s=10.0, **scored("accuracy", 0.5, 0.1)),
        offer("b", decode_tok_s=90.0, **scored("accuracy", 0.0, 0.1)),
    )
    assert best(parse(str(path), rows), rows) == "a"


@pytest.mark.parametrize("name", conf.options("kpi"))
def test_every_kpi_that_is_shipped_is_an_objective(name: str) -> None:
    aim = parse(name, ROWS)
    assert aim.single is None
    assert sum(weight for _, weight in aim.shares()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "should be a valid dictionary"),
        ("- a\n- b\n", "should be a valid dictionary"),
        ("decode_tok_s: -1\n", "greater than 0"),
        ("decode_tok_s: much\n", "valid number"),
        ("decode_tok_s: [\n", "is no KPI"),
        ("{}", "at least 1 item"),
        ("decode_tok_s: .inf\n", "finite"),
        ("spede: 1\n", "there is no metric 'spede'"),
    ],
)
def test_a_file_that_is_no_kpi_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=why):
        parse(str(path), ROWS)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_kpi_is_read_in_the_encoding_that_it_is_written_in(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes("decode_tok_s: 3\r\nttft_s: 1\r\n".encode(encoding))
    assert [weight for _, weight in kpi.load(path).items()] == [3.0, 1.0]


def test_a_kpi_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml cannot be read"):
        parse(str(tmp_path / "none.yaml"), ROWS)


def test_a_task_has_the_interval_of_its_standard_error_where_the_store_tells_it() -> None:
    rows = ROWS.assign(accuracies_se='{"mine": 0.1}')
    told = with_tasks(rows, [metric("task:mine"), metric("task:other")])
    assert told["task:mine_low"].tolist() == pytest.approx([0.304, 0.704])
    assert told["task:other_low"].isna().all()
    assert told["task:other"].tolist() == [0.7, 0.1]


def test_all_names_are_listed_once() -> None:
    names = objective.names()
    assert len(names) == len(set(names))
    assert {"quality", "speed", "chat", "kld"} <= set(names)


def test_the_store_tells_the_standard_error_of_each_task_of_the_latest_check(
    tmp_path: Path,
) -> None:
    store = stores.begun(tmp_path / "s.duckdb")
    store.add_results("run-1", [support.round_result()])
    store.add_run(stores.run("run-2", stores.later(1)))
    for run, limit, error in (("run-1", 5, 0.3), ("run-2", None, 0.1)):
        check = support.quality_check(reading=None, exam=Exam("mine", "0" * 64, limit))
        store.add_quality(run, QualityResult(check, (Score("accuracy", 0.5, error, 25),), 1.0))
    rows = with_errors(store.path, results.load(store.path))
    told = with_tasks(rows, [metric("task:mine")])
    assert told["task:mine_high"].tolist() == pytest.approx([0.5 + 1.96 * 0.1])
