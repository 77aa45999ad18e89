"""Tables on the terminal, such as that at the end of a run."""

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from odllm_agent.contract import Method, Phase
from odllm_agent.statistics.interval import Interval
from odllm_agent.terminal.visible import visible
from odllm_controller.analysis.claims import drift
from odllm_controller.analysis.claims.drift import Drift, DriftVerdict
from odllm_controller.analysis.compare import comparison
from odllm_controller.analysis.compare.comparison import Comparison
from odllm_controller.analysis.queries import results
from odllm_controller.analysis.queries.results import Row
from odllm_controller.analysis.scaling.curves import PREFILL_TOKEN
from odllm_controller.analysis.scaling.fits import Fit, fits
from odllm_controller.metrics import RUN_TABLE, Group, Metric, brief, metric

MISSING = "–"
"""What stands where there is no value."""

_GAP = 2
_PIPE_WIDTH = 1000
_MB = 1e6
_MS = 1e-3
_DIGITS = 3
_TOKEN_TIMES = {PREFILL_TOKEN.name: Phase.PREFILL, "tpot_s": Phase.DECODE}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table.

    Attributes:
        heading: What stands above it.
        cell: How a row's value is written.
        optional: Whether it is left out where all rows agree.
        figure: Whether it is left out where no row has a figure.
        text: Whether it holds words, which stand at its left.
        key: Whether it tells what a row is, so that every part of a wide table has it.
    """

    heading: str
    cell: Callable[[Row], str]
    optional: bool = False
    text: bool = False
    key: bool = False
    figure: bool = False

    def text_of(self, row: Row) -> str:
        """What stands in a row: one line, and nothing that steers a terminal."""
        return visible(self.cell(row))

    def width(self, rows: Sequence[Row]) -> int:
        """The cells that it takes on a terminal."""
        return max(cell_len(text) for text in (self.heading, *map(self.text_of, rows)))


class PlainConsole(Console):
    """A console on which a name is a name: neither markup nor emoji, and no code for a terminal."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Renders as Rich does, with every character spelt out that cannot be seen."""
        for segment in super().render(renderable, options):
            is_code = segment.control is not None
            yield segment if is_code else Segment(visible(segment.text, "\n"), segment.style)


def console(*, stderr: bool = False) -> Console:
    """An output of the process; a pipe or a file has no width that a table would have to fit.

    Args:
        stderr: Whether it is the one for what is told besides results.
    """
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return PlainConsole(width=width, stderr=stderr, markup=False, emoji=False)


def print_results(console: Console, path: Path, run: str, found: pd.DataFrame) -> None:
    """Prints every trial of a run, whether measured in it or before.

    Args:
        console: Where to print.
        path: The store.
        run: The run's id.
        found: What `results.load` gives of that run.

    Raises:
        StoreError: The store cannot be read.
    """
    if found.empty:
        return
    print_rows(console, _COLUMNS, results.records(found))
    for note in (*results.notes(found), *results.remarks(found)):
        console.print(note, highlight=False)
    if (found["energy_method"] == Method.ESTIMATED).any():
        console.print("energy: estimated from stated watts, not measured", highlight=False)
    for figure in ("energy", "perplexity"):
        for reason in sorted(found[f"{figure}_reason"].dropna().unique()):
            console.print(f"{figure}: unavailable, {reason}", highlight=False)
    for reason in sorted(found["interval_reason"].dropna().unique()):
        console.print(f"no interval: {reason}", highlight=False)
    for each in drift.load(path, run):
        console.print(drift_line(each), highlight=False)
    _print_comparisons(console, comparison.load(path, found))
    _print_fits(console, fits(found, (PREFILL_TOKEN, metric("tpot_s"))))


def drift_line(found: Drift) -> str:
    """Whether a device drifted in a run, and what to do about it."""
    return f"drift on {found.device}: {_ADVICE[found.verdict].format(_change(found))}"


def _change(found: Drift) -> str:
    if found.slope is None or found.low is None or found.high is None:
        return "too little was measured in two rounds of this run"
    over_run, low, high = (
        f"{100 * drift.change(slope, found.hours):+,.1f}"
        for slope in (found.slope, found.low, found.high)
    )
    changed = f"decode speed changed by {over_run} % [{low}, {high}] in {found.hours * 60:,.0f} min"
    # What a run of minutes shows says nothing of the hour after it.
    return (
        f"{changed}, {100 * drift.change(found.slope, hours=1):+,.1f} % per hour"
        if found.hours >= 1
        else changed
    )


def _print_comparisons(console: Console, found: Sequence[Comparison]) -> None:
    """Prints how configurations compare that differ in the engine or one setting."""
    if not found:
        return
    rows = [
        {each.name: getattr(one, each.name) for each in dataclasses.fields(one)} for one in found
    ]
    bases = {each.against for each in found}
    common = f", against {bases.pop()}" if len(bases) == 1 else ""
    console.print(f"\nRatios of medians [95 %]{common}", highlight=False)
    print_rows(console, _COMPARISON_COLUMNS, rows)
    ratios = [ratio for each in found for ratio in (each.prefill, each.decode, each.energy)]
    for reason in sorted({ratio.reason for ratio in ratios if ratio} - {""}):
        console.print(f"no interval of a ratio: {reason}", highlight=False)


def _print_fits(console: Console, found: Sequence[Fit]) -> None:
    """Prints how time per token grows with BPW, if any model was measured at enough types."""
    if all(fit.slope is None for fit in found):
        return
    console.print(
        "\nTime per token against BPW: slope, time at no bits, and fit (least squares of relative "
        "errors)"
    )
    rows = [{**dataclasses.asdict(fit), "phase": _TOKEN_TIMES[fit.metric]} for fit in found]
    print_rows(console, _FIT_COLUMNS, rows)
    for reason in sorted({fit.reason for fit in found} - {""}):
        console.print(f"no line: {reason}", highlight=False)


def print_rows(console: Console, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Prints a line per row, in as many parts as the terminal's width asks for."""
    for place, shown in enumerate(pages(columns, rows, console.width)):
        if place:
            console.print()
        console.print(_table(shown, rows))


def pages(
    columns: Sequence[Column], rows: Sequence[Row], width: int
) -> Iterator[tuple[Column, ...]]:
    """The columns in as few parts as fit below each other, since a cut figure is worse than none.

    Args:
        columns: All columns, those that tell what a row is among them.
        rows: What they show.
        width: The cells of the terminal.

    Yields:
        The columns of each part; a single one that is too wide stands alone.
    """
    shown = [column for column in columns if _is_shown(column, rows)]
    keys = tuple(column for column in shown if column.key)
    page = keys
    for column in (column for column in shown if not column.key):
        wanted = sum(each.width(rows) + _GAP for each in (*page, column)) - _GAP
        if wanted > width and page != keys:
            yield page
            page = keys
        page = (*page, column)
    yield page


def _table(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.heading, justify="left" if column.text else "right", no_wrap=True)
    for row in rows:
        # What a store says is text, and no markup.
        table.add_row(*(Text(column.text_of(row)) for column in columns))
    return table


def _is_shown(column: Column, rows: Sequence[Row]) -> bool:
    cells = {column.cell(row) for row in rows}
    if column.figure:
        return any(character.isdigit() for cell in cells for character in cell)
    return not column.optional or len(cells) > 1


def words(heading: str, name: str, *, optional: bool = False, key: bool = True) -> Column:
    """A column of words; see `Column`."""

    def cell(row: Row) -> str:
        return MISSING if pd.isna(row[name]) else str(row[name])

    return Column(heading, cell, optional, text=True, key=key)


def context_cell(row: Row) -> str:
    """How much context a row takes and its model was made for, where that is more."""
    if pd.isna(row["context_reason"]) or not row["context_reason"]:
        return MISSING
    sizes = ("prompt_tokens", "output_tokens", "depth_tokens")
    taken = int(sum(row[size] for size in sizes if not pd.isna(row[size])))
    return f"{taken:,} of {int(row['model_context_tokens']):,}"


def number(heading: str, name: str, digits: int, per_unit: float = 1.0) -> Column:
    """A column of numbers.

    Args:
        heading: What stands above it.
        name: The value's name in a row.
        digits: The digits behind the point.
        per_unit: How much of the value's own unit one shown unit is.
    """

    def cell(row: Row) -> str:
        value = row[name]
        return MISSING if pd.isna(value) else f"{value / per_unit:,.{digits}f}"

    return Column(heading, cell)


def _significant(heading: str, name: str, per_unit: float) -> Column:
    def cell(row: Row) -> str:
        value = row[name]
        return MISSING if pd.isna(value) else significant(value / per_unit)

    return Column(heading, cell)


def _slope(heading: str, per_unit: float) -> Column:
    """A slope with its interval."""

    def cell(row: Row) -> str:
        if pd.isna(row["slope"]):
            return MISSING
        slope, low, high = (
            significant(row[name] / per_unit) for name in ("slope", "slope_low", "slope_high")
        )
        return f"{slope} [{low}, {high}]"

    return Column(heading, cell)


def significant(value: float) -> str:
    """A figure whose size may be anything, with three digits that count and no exponent."""
    before = math.floor(math.log10(abs(value))) + 1 if value else 1
    return f"{value:,.{max(0, _DIGITS - before)}f}"


def _metric(of: Metric) -> Column:
    """A metric's figure, in the unit that it is shown in everywhere."""
    if of.group is Group.ENERGY:
        return _energy(of)
    if of.group is Group.SPEED:
        return _with_interval(of)
    heading = f"{of.heading} {of.unit}".strip()
    column = number(heading, of.name, of.decimals, of.per_unit)
    return dataclasses.replace(column, figure=of.group is Group.QUALITY)


def _with_interval(of: Metric) -> Column:

    def cell(row: Row) -> str:
        if pd.isna(row[of.name]):
            return MISSING
        low, high = row[of.low], row[of.high]
        interval = "" if pd.isna(low) else f" [{_shown(low, of)}, {_shown(high, of)}]"
        return _shown(row[of.name], of) + interval

    return Column(f"{of.heading} {of.unit} [95 %]", cell)


def _shown(value: float, of: Metric) -> str:
    return f"{value / of.per_unit:,.0f}"


def _energy(of: Metric) -> Column:
    """An energy or power, with how far off its sensor may be where that is known.

    In the column that says most, the method stands where there is no figure; the reason is told
    below the table.
    """
    unit = f"{of.unit}/tok" if of.name.endswith("_per_token") else of.unit
    tells_method = of.alias == "energy"

    def cell(row: Row) -> str:
        value, off_by = row[of.name], row.get(of.uncertainty)
        if pd.isna(value):
            told = tells_method and not pd.isna(row["energy_method"])
            return str(row["energy_method"]) if told else MISSING
        margin = "" if pd.isna(off_by) else f" ±{off_by / of.per_unit:.1g}"
        return f"{brief(value / of.per_unit)}{margin}"

    return Column(f"{of.heading} {unit}", cell, figure=True)


def ratio_column(heading: str, name: str, *, optional: bool = False) -> Column:
    """A column of ratios with their intervals; see `Column`."""

    def cell(row: Row) -> str:
        ratio: Interval | None = row[name]
        if ratio is None:
            return MISSING
        ends = "" if ratio.low is None else f" [{ratio.low:.2f}, {ratio.high:.2f}]"
        return f"{ratio.middle:.2f}{ends}"

    return Column(heading, cell, optional)


_ADVICE = {
    DriftVerdict.DRIFT: (
        "{}. Rounds of shuffled order keep comparisons fair; for absolute figures let the device "
        "come to rest and measure again"
    ),
    DriftVerdict.NONE_SEEN: "none seen, {}",
    DriftVerdict.UNDECIDED: "undecided, {}; more rounds would tell",
}

SUBJECT_COLUMNS = (
    words("device", "device", optional=True),
    words("model", "model"),
    words("type", "quantization"),
    words("workload", "workload_label", optional=True),
    words("engine", "configuration", optional=True),
)
"""What a row is of."""

MODEL_COLUMNS = tuple(each for each in SUBJECT_COLUMNS if each.heading != "type")
"""What a row is of that stands for all types of a model."""

SETUP_COLUMNS = tuple(each for each in MODEL_COLUMNS if each.heading != "model")
"""What a row is of that stands for all models."""

_COLUMNS = (
    *SUBJECT_COLUMNS,
    words("status", "status", optional=True, key=False),
    Column("context", context_cell, text=True, figure=True),
    number("BPW", "file_bpw", 2),
    number("file MB", "file_bytes", 1, _MB),
    *(_metric(metric(name)) for name in RUN_TABLE),
)

_COMPARISON_COLUMNS = (
    *SUBJECT_COLUMNS[:-1],
    words("engine", "configuration"),
    words("against", "against", optional=True),
    ratio_column("prefill", "prefill"),
    ratio_column("decode", "decode"),
    ratio_column("energy/tok", "energy", optional=True),
)

_FIT_COLUMNS = (
    *MODEL_COLUMNS,
    words("phase", "phase"),
    words("types", "types"),
    number("n", "n", 0),
    _slope("ms/tok per bit [95 %]", _MS),
    _significant("ms/tok at 0", "intercept", _MS),
    number("R2", "r2", 3),
)
