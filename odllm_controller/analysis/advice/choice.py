"""A configuration that may be chosen, with what was measured of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import pandas as pd

from odllm_agent.statistics.interval import Floats
from odllm_controller.analysis.advice.candidates import Candidates
from odllm_controller.analysis.queries.results import Row
from odllm_controller.metrics import Metric, metric

# What is shown of every choice, where it is known, beside what was asked for.
_SHOWN = ("decode_tok_s", "ttft_s", "peak_rss_bytes", "mean_w", "decode_j_per_token")
# What is sure by a 95 % interval: its one end.
_SURE = 0.975


class Meets(StrEnum):
    """Whether a figure meets a limit."""

    YES = "yes"
    LIKELY = "likely"
    HARDLY = "hardly"
    NO = "no"


@dataclass(frozen=True, slots=True)
class ChoiceFigure:
    """One figure of a configuration.

    Attributes:
        metric: The metric's name.
        value: In the unit of its column.
        low: The lower end of its 95 % interval, or `None`.
        high: The upper end, or `None`.
        limit: The bound that was set, or `None`.
        meets: Whether it meets it: `yes` if the whole interval does, `likely` if the figure does,
            `hardly` if only a part of the interval does; `None` without a limit.
        chance: The probability that it meets it; `None` without a limit or without an interval.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    limit: float | None = None
    meets: Meets | None = None
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A configuration that may be chosen.

    Attributes:
        trial_id: Its trial; of a prediction, the trial that it was worked out from.
        model: The model's name.
        quantization: The type of its weights.
        configuration: The engine with its settings.
        merit: How good it is by the objective: the metric's value; of a weighted objective, the
            weighted geometric mean of its ratios to the best figures there are, from 0 to 1.
        figures: What was measured, with the limits that were set.
        best: The probability that it is the best one that meets all limits; `None` where there is
            no other to be better than, or where what it is best by has no interval.
        meets: The probability that it meets all of them; `None` where one is set to a figure
            without an interval.
        energy_method: How its energy figures were obtained.
        flags: What disturbed its repeats.
        prediction: What its figures were worked out from, or `""` where they were measured.
    """

    trial_id: str
    model: str
    quantization: str
    configuration: str
    merit: float
    figures: tuple[ChoiceFigure, ...]
    best: float | None
    meets: float | None
    energy_method: str
    flags: str
    prediction: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.model} {self.quantization}, {self.configuration}"


@dataclass(frozen=True, slots=True, eq=False)
class Teller:
    """Tells candidates by their place, each with how often it wins.

    Attributes:
        asked: The candidates.
        wins: What `Candidates.wins` says of them.
    """

    asked: Candidates
    wins: Floats

    def choice(self, place: int) -> Choice:
        """The candidate at a place."""
        row = self.asked.row(place)
        return Choice(
            trial_id=row["trial_id"],
            model=row["model"],
            quantization=row["quantization"],
            configuration=row["configuration"],
            merit=self.asked.merit(place),
            figures=tuple(self._figures(place, row)),
            best=float(self.wins[place]) if self.asked.is_ranked(place) else None,
            meets=self._meets_all(place, row),
            energy_method=_text(row["energy_method"]),
            flags=_text(row["flags"]),
            prediction=_text(row.get("prediction")),
        )

    def _meets_all(self, place: int, row: Row) -> float | None:
        if any(self.asked.is_bare(limit.metric, row) for limit in self.asked.limits):
            return None
        return float(self.asked.chances[:, place].prod())

    def _figures(self, place: int, row: Row) -> Iterator[ChoiceFigure]:
        asked = [each.name for each in self.asked.metrics]
        limits = {limit.metric.name: at for at, limit in enumerate(self.asked.limits)}
        for name in dict.fromkeys((*asked, *_SHOWN)):
            if not pd.isna(row.get(name)):
                yield self._figure(metric(name), row, place, limits.get(name))

    def _figure(self, of: Metric, row: Row, place: int, limit: int | None) -> ChoiceFigure:
        figure = ChoiceFigure(of.name, float(row[of.name]), _end(row, of.low), _end(row, of.high))
        if limit is None:
            return figure
        chance = float(self.asked.chances[limit, place])
        inside = bool(self.asked.margins[limit, place] >= 0)
        bound = self.asked.limits[limit].bound
        if self.asked.is_bare(of, row):
            # Of one repeat nobody knows what the next would be.
            return replace(figure, limit=bound, meets=Meets.LIKELY if inside else Meets.NO)
        return replace(figure, limit=bound, meets=_meets(chance, inside=inside), chance=chance)


def _meets(chance: float, *, inside: bool) -> Meets:
    if inside:
        return Meets.YES if chance >= _SURE else Meets.LIKELY
    return Meets.HARDLY if chance > 1 - _SURE else Meets.NO


def _end(row: Row, name: str) -> float | None:
    value = row.get(name)
    return None if pd.isna(value) else float(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
