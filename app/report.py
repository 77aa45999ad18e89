"""`odllm report`: one HTML page of a run that opens without a network, a script or ODLLM."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from app.captions import caption
from app.charts import chart, shown
from app.inline import inline
from app.panels import panels
from app.symbols import Symbol, legend, symbols
from odllm_agent.errors import OdllmError, UsageError
from odllm_controller.analysis import account, results
from odllm_controller.analysis.account import Account
from odllm_controller.analysis.metrics import METRICS, Group, Metric

_STORE = Path("results/odllm.duckdb")
_OUT = Path("report.html")
_EXAMPLES = """\
examples:
  odllm report                                      the latest run, into report.html
  odllm report 20261124T143000-4fa2c1 --out sweep.html --store results/laptops.duckdb

The page holds everything: the answer, the charts, the figures, what failed, the method and the
devices. It can be sent, printed and kept. Exit status: 0 done, 1 no readable store, 2 wrong usage.
"""
# What a reader wants first of each group; the table of all figures has the rest.
_DRAWN = frozenset(
    {
        "decode_tok_s",
        "prefill_tok_s",
        "ttft_s",
        "peak_rss_bytes",
        "perplexity",
        "accuracy",
        "decode_j_per_token",
        "mean_w",
    }
)
_WIDTH = 420
_SUBJECT = {
    "device": "Device",
    "model": "Model",
    "quantization": "Type",
    "workload_label": "Workload",
    "configuration": "Engine",
}
_TROUBLES = {"failure": "What went wrong", "remedy": "What to do"}
_METHOD = (
    "Every trial ran in a fresh process in every round, the rounds in an order shuffled by the seed."
    " Times are those of the engine's own calls, without tokenizer, template or sampling.",
    "A figure is the median of the measured repeats of whole rounds; warm-ups and failed rounds are"
    " stored and not counted. The range behind it is its 95 % interval, by a bootstrap over rounds"
    " and the repeats in them; below 2 rounds or 6 repeats there is none.",
    "Bits per weight are 8 x the bytes of all weight tensors / the number of weights, read from the"
    " file's own tensors.",
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table in words.

    Attributes:
        headings: Of its columns.
        rows: The cells of each row.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart with what belongs to it.

    Attributes:
        heading: What it shows.
        svg: The chart.
        caption: What it rests on.
        table: What it shows, in figures.
    """

    heading: str
    svg: Markup
    caption: str
    table: Table


@dataclass(frozen=True, slots=True)
class Drawings:
    """The charts of one group.

    Attributes:
        title: What they are about.
        drawings: The charts.
        missing: What has no figure and why, a line each.
    """

    title: str
    drawings: Sequence[Drawing]
    missing: Sequence[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the page.

    Args:
        arguments: What follows the command's name, or `None` for this process's own.

    Returns:
        The exit status: 0 done, 1 no readable store, 2 wrong usage.
    """
    options = _parser().parse_args(arguments)
    try:
        run = account.find(options.store, options.run)
        page = render(account.load(options.store, run), results.load(options.store, run))
        _write(options.out, page)
    except OdllmError as error:
        print(f"odllm report: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    print(f"{options.out}: run {run}")
    return 0


def render(told: Account, found: pd.DataFrame) -> str:
    """The page.

    Args:
        told: What the run was.
        found: The rows of its trials, as `results.load` gives them.
    """
    measured = results.measured(found)
    of_models = symbols(list(dict.fromkeys(found["model"])))
    environment = Environment(
        loader=PackageLoader("app"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html").render(
        account=told,
        counts=_counts(found),
        notes=results.notes(found),
        answers=(),
        verdicts=Table((), ()),
        legend=Markup(legend(of_models)),  # noqa: S704 - it escapes the names itself
        groups=list(_groups(measured, of_models)),
        figures=_figures(measured),
        troubles=_troubles(found),
        method=_METHOD,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="odllm report",
        description="Write one HTML page of a run.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="the latest unless told")
    parser.add_argument("--out", type=Path, default=_OUT, metavar="F", help="(%(default)s)")
    parser.add_argument("--store", type=Path, default=_STORE, metavar="F", help="(%(default)s)")
    return parser


def _write(out: Path, page: str) -> None:
    try:
        out.write_text(page, "utf-8")
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", "name another file with --out"
        ) from error


def _counts(found: pd.DataFrame) -> str:
    counts = found["status"].value_counts()
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    return f"{len(found)} trials: {told}" if told else "No trials"


def _groups(measured: pd.DataFrame, of_models: Sequence[Symbol]) -> Iterator[Drawings]:
    places = count(1)
    for group in Group if len(measured) else ():
        metrics = [metric for metric in METRICS if metric.group is group]
        drawings = [
            drawing
            for metric in metrics
            if metric.name in _DRAWN
            for drawing in _drawings(metric, measured, of_models, places)
        ]
        missing = [
            f"{metric.label}: {metric.why_missing(measured)}"
            for metric in metrics
            if metric.name in _DRAWN and measured[metric.name].isna().all()
        ]
        yield Drawings(group.value, drawings, missing)


def _drawings(
    metric: Metric, measured: pd.DataFrame, of_models: Sequence[Symbol], places: Iterator[int]
) -> Iterator[Drawing]:
    beside = measured[measured[metric.name].notna()]
    for names, rows in panels(beside):
        drawn = chart(rows, metric, of_models, beside).properties(width=_WIDTH)
        yield Drawing(
            heading=", ".join((f"{metric.title}, {metric.better}", *names)),
            svg=inline(drawn, next(places)),
            caption=caption(rows, metric),
            table=_chart_table(rows, metric),
        )


def _chart_table(rows: pd.DataFrame, metric: Metric) -> Table:
    columns = ("model", "quantization", "file_bpw", "value", "low", "high", "repeats", "flags")
    headings = ("Model", "Type", "File BPW", metric.title, "95 % from", "to", "Repeats", "Flags")
    found = shown(rows, metric)[list(columns)]
    return Table(headings, [[_cell(cell) for cell in row] for row in found.to_numpy()])


def _figures(measured: pd.DataFrame) -> Table:
    """All trials with every metric that any of them has."""
    there = [metric for metric in METRICS if measured[metric.name].notna().any()]
    headings = (*_SUBJECT.values(), "File BPW", *(metric.title for metric in there), "Repeats")
    rows = [
        [
            *(_cell(row[name]) for name in _SUBJECT),
            _cell(row["file_bpw"]),
            *(_measured_cell(row, metric) for metric in there),
            _cell(row["repeats"]),
        ]
        for row in results.records(measured)
    ]
    return Table(headings, rows)


def _measured_cell(row: Mapping[str, object], metric: Metric) -> str:
    """A figure with its interval, where it has one."""
    value, low, high = (
        _cell(pd.to_numeric(row.get(name), errors="coerce") / metric.per_unit)
        for name in (metric.name, metric.low, metric.high)
    )
    return f"{value} [{low}, {high}]" if low else value


def _troubles(found: pd.DataFrame) -> list[tuple[str, Table]]:
    return [
        ("Failed", _listed(results.failed(found), {**_SUBJECT, **_TROUBLES})),
        ("Cannot run", _listed(results.skipped(found), {**_SUBJECT, "skip_reason": "Why"})),
        (
            "Not waited for",
            _listed(found[found["status"] == "held"], {**_SUBJECT, "hold_reason": "Why"}),
        ),
    ]


def _listed(rows: pd.DataFrame, columns: Mapping[str, str]) -> Table:
    cells = [[_cell(cell) for cell in row] for row in rows[list(columns)].to_numpy()]
    return Table(list(columns.values()), cells)


def _cell(value: object) -> str:
    """A value in words: four significant figures, and nothing where it is missing."""
    if value is None or pd.isna(value):  # type: ignore[call-overload]
        return ""
    return f"{float(f'{value:.4g}'):,.10g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
