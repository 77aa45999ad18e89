"""`odllm compare`: one run, device, engine, version or store against another, cell by cell."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from odllm_agent.errors import UsageError
from odllm_agent.terminal.program import STORE, TYPED_PATH, AsJson, StorePath, program
from odllm_controller.analysis.compare.contrast import (
    ChangeVerdict,
    Contrast,
    MetricContrast,
    contrast,
)
from odllm_controller.analysis.compare.sides import sides
from odllm_controller.cli import table
from odllm_controller.cli.table import MISSING, Column, print_rows, words
from odllm_controller.metrics import metric

DONE, REGRESSED, NOTHING_COMPARED = 0, 1, 2

_METRICS = ("decode_tok_s", "prefill_tok_s", "decode_j_per_token")
_SHOWN_ONLY = 5
_EXAMPLES = """\
examples:
  odllm compare 20261124T0951 20261123T0947         two runs; the beginning of an id will do
  odllm compare laptop-1 laptop-2 --metric speed
  odllm compare openvino llama_cpp                  two engines, where settings that both have agree
  odllm compare 0.3.36 0.3.34 --limit 3%            two versions of an engine
  odllm compare new.duckdb old.duckdb --json        two stores, in CI
  odllm compare laptop laptop --against-store old.duckdb

The first is compared with the second: a ratio of 0.9 is nine tenths of the second. `worse` is what
is worse by more than the limit over its whole 95 % interval. Exit status: 0 nothing is, 1 something
is, 2 wrong usage, or there is nothing that both have a figure of.
"""


app = program("odllm compare", examples=_EXAMPLES)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """How two sides are compared.

    Attributes:
        limit: the change that is tolerated
        metric: may be named several times
        store: where the results are
        against_store: the store of B, if it is another one
        as_json: an object with a list of cells
    """

    limit: str = "5%"
    metric: tuple[str, ...] = _METRICS
    store: StorePath = STORE
    against_store: Annotated[Path | None, TYPED_PATH, "G"] = None
    as_json: AsJson = False


@app.default
def compare(
    of: Annotated[str, "A"],
    against: Annotated[str, "B"],
    /,
    *,
    options: CompareOptions = CompareOptions(),
) -> int:
    """Set one run, device, engine, version, build or store against another.

    Args:
        of: a run, device, engine or engine version, or the file of a store
        against: what it is compared with: the same
        options: how

    Raises:
        UsageError: A name stands for nothing or for several things, or nothing is in common.
        StoreError: A store cannot be read.
    """
    metrics = [metric(name) for name in options.metric]
    sides_of = sides(of, against, options.store, options.against_store)
    found = contrast(*sides_of, metrics, _limit(options.limit))
    if options.as_json:
        print(json.dumps(dataclasses.asdict(found), indent=1))
    else:
        _print(table.console(), found)
    if found.is_empty:
        return NOTHING_COMPARED
    return REGRESSED if found.regressions else DONE


def _limit(text: str) -> float:
    try:
        limit = float(text.removesuffix("%")) / 100
    except ValueError:
        limit = -1.0
    if not text.endswith("%") or not 0 <= limit < 1:
        raise UsageError(f"--limit {text} is no change", "write it as 5%, from 0% to 99%")
    return limit


def _print(console: Console, found: Contrast) -> None:
    _say(console, f"{found.of} against {found.against}: ratios of medians [95 %]")
    print_rows(console, _COLUMNS, [_row(cell) for cell in found.cells if cell.ratio])
    for line in _lines(found):
        _say(console, line)


def _row(cell: MetricContrast) -> dict[str, object]:
    return dataclasses.asdict(cell) | {
        "ratio": cell.ratio,
        "label": metric(cell.metric).label,
        "differing": cell.differing or MISSING,
    }


def _lines(found: Contrast) -> Iterator[str]:
    counts = dict.fromkeys(ChangeVerdict, 0)
    for cell in found.cells:
        counts[cell.standing] += cell.ratio is not None
    told = ", ".join(f"{n} {standing}" for standing, n in counts.items())
    yield f"beyond {100 * found.limit:g} %: {told}"
    differing = {cell.differing for cell in found.cells if cell.ratio}
    if len(differing) == 1 and "" not in differing:
        # The table leaves out a column whose cells all say the same.
        yield f"differing in all of them: {differing.pop()}"
    for reason in sorted({cell.reason for cell in found.cells} - {""}):
        yield f"no ratio, or no interval of it: {reason}"
    for side, only in ((found.of, found.only_of), (found.against, found.only_against)):
        if only:
            more = f"; and {len(only) - _SHOWN_ONLY} more" if len(only) > _SHOWN_ONLY else ""
            yield f"only {side}, {len(only)}: {'; '.join(only[:_SHOWN_ONLY])}{more}"


def _say(console: Console, line: str) -> None:
    # What a device says is text, and no markup.
    console.print(line, markup=False, highlight=False, soft_wrap=True)


_COLUMNS: tuple[Column, ...] = (
    *table.SUBJECT_COLUMNS,
    words("against", "against", optional=True),
    words("metric", "label"),
    table.ratio_column("ratio", "ratio"),
    words("", "standing", key=False),
    words("differing", "differing", optional=True, key=False),
)
