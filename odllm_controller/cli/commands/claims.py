"""`odllm claims`: what the stored results say of the five claims of arXiv 2505.15030."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

import pandas as pd

from odllm_agent.terminal.program import STORE, AsJson, StorePath, program
from odllm_controller.analysis.bounds.bottleneck import shifts
from odllm_controller.analysis.claims.claims import verdicts
from odllm_controller.analysis.claims.linearity import SYSTEM, linearities
from odllm_controller.analysis.claims.pairwise import advantages
from odllm_controller.analysis.claims.phases import phase_powers
from odllm_controller.analysis.claims.steps import steps
from odllm_controller.analysis.claims.threshold import thresholds
from odllm_controller.analysis.scaling.breaks import breaks
from odllm_controller.analysis.scaling.fits import fits
from odllm_controller.analysis.scaling.residuals import residuals
from odllm_controller.cli import table
from odllm_controller.cli.commands import chosen
from odllm_controller.cli.commands.claims_text import print_details, print_verdicts

DONE = 0

_EXAMPLES = """\
examples:
  odllm claims
  odllm claims --device laptop --details       with the fits, thresholds and steps below
  odllm claims --store results/fleet.duckdb --json > claims.json

A claim is supported or contradicted only if several models agree, and undecided otherwise; then it
is told what would decide it. docs/analysis.md says how each is judged. Exit status: 0 done, 1 the
store cannot be read, 2 wrong usage.
"""


app = program("odllm claims", examples=_EXAMPLES)


@app.default
def claims(
    *,
    device: Annotated[str | None, "D"] = None,
    details: bool = False,
    as_json: AsJson = False,
    store: StorePath = STORE,
) -> int:
    """Tell what the stored results say of each of the five claims, and how sure it is.

    Args:
        device: its name, or the beginning of its id
        details: also what the verdicts rest on
        as_json: an object with a list of verdicts
        store: where the results are

    Raises:
        UsageError: The device is none, or nothing is measured.
        StoreError: The store cannot be read.
    """
    rows = chosen.of(chosen.load(store), "device", device)
    told = verdicts(rows)
    more = _details(rows) if details else {}
    if as_json:
        named: dict[str, Sequence[object]] = {"verdicts": told, **more}
        answer = {
            name: [dataclasses.asdict(each) for each in findings]  # type: ignore[call-overload]
            for name, findings in named.items()
        }
        print(json.dumps(answer, indent=1))
        return DONE
    print_verdicts(table.console(), told)
    print_details(table.console(), more)
    return DONE


def _details(rows: pd.DataFrame) -> dict[str, Sequence[object]]:
    """What the verdicts rest on, by the names of what it is."""
    return {
        "fits": fits(rows, SYSTEM),
        "linearities": linearities(rows),
        "breaks": breaks(rows, SYSTEM),
        "residuals": residuals(rows, SYSTEM),
        "thresholds": thresholds(rows),
        "advantages": advantages(rows),
        "steps": steps(rows),
        "phase_powers": phase_powers(rows),
        "shifts": shifts(rows),
    }
