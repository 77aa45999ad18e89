"""Whether prefill draws more power than decode: their ratio, paired by trial.

Each trial is compared with itself, so that what its model and type draw cancels. The mean of the
logarithms of the ratios has the interval of Student's t over the trials of one model (Student, The
Probable Error of a Mean, Biometrika 6, 1908). Only measured watts are evidence: an estimate takes
the same watts for every second that a core works.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from odllm_agent.contract import Method
from odllm_controller.analysis.matching.cells import latest
from odllm_controller.analysis.queries.subject import MODEL_SUBJECT, ModelSubject
from odllm_controller.analysis.statistics import student
from odllm_controller.analysis.statistics.standing import Standing

_GROUP = [*MODEL_SUBJECT, "energy_method"]
_LEAST_TRIALS = 3


@dataclass(frozen=True, slots=True)
class PhasePower(ModelSubject):
    """How many times as many watts prefill draws as decode, of one model on one device and engine.

    Attributes:
        energy_method: How the watts were obtained.
        n: The trials, one a type.
        prefill_w: The median watts of prefill, of all trials.
        decode_w: Of decode.
        ratio: The geometric mean of the trials' ratios.
        ratio_low: The lower end of its 95 % interval; `None` with too few trials.
        ratio_high: The upper end.
        reason: Why there is no interval, or `""`.
    """

    energy_method: str
    n: int
    prefill_w: float
    decode_w: float
    ratio: float
    ratio_low: float | None = None
    ratio_high: float | None = None
    reason: str = ""

    @property
    def standing(self) -> Standing:
        """Whether prefill draws more; undecided where watts were not measured."""
        low, high = self.ratio_low, self.ratio_high
        if low is None or high is None or self.energy_method != Method.MEASURED:
            return Standing.UNDECIDED
        if low > 1:
            return Standing.SUPPORTED
        return Standing.CONTRADICTED if high < 1 else Standing.UNDECIDED


def phase_powers(results: pd.DataFrame) -> tuple[PhasePower, ...]:
    """The ratios of everything that has watts of both phases, in the order of the rows.

    Args:
        results: Rows as `results.load` gives them.
    """
    rows = latest(results)
    both = rows[(rows["prefill_w"] > 0) & (rows["decode_w"] > 0)]
    return tuple(
        _of_group(cast("tuple[str, ...]", names), alike)
        for names, alike in both.groupby(_GROUP, sort=False)
    )


def _of_group(names: Sequence[str], rows: pd.DataFrame) -> PhasePower:
    device, model, workload, configuration, method = names
    logs = np.log(rows["prefill_w"] / rows["decode_w"]).tolist()
    low, high = _ends(logs)
    needed = f"an interval needs {_LEAST_TRIALS} trials, and there are {len(logs)}"
    return PhasePower(
        device,
        model,
        workload,
        configuration,
        method,
        len(logs),
        float(rows["prefill_w"].median()),
        float(rows["decode_w"].median()),
        math.exp(statistics.fmean(logs)),
        low,
        high,
        reason="" if low is not None else needed,
    )


def _ends(logs: Sequence[float]) -> tuple[float | None, float | None]:
    if len(logs) < _LEAST_TRIALS:
        return None, None
    middle, margin = statistics.fmean(logs), student.margin(logs)
    return math.exp(middle - margin), math.exp(middle + margin)
