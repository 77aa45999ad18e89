"""Two sizes of one family of models: which is better at equal bytes, or at equal memory?

A larger model in few bits takes as much room as a smaller one in more. For each type of the larger
one the smaller one's score is interpolated at the same room, on the logarithm of it, and only
within the range in which the smaller one was measured. The difference is the larger one's
advantage. Scores are accuracy, and minus the logarithm of perplexity, whose differences are
logarithms of ratios. KL divergence compares a file with its own F16 and can compare no models.

The scores of one model come from the same questions or the same text, so their errors go together;
by how much is not stored. Each draw therefore shifts all scores of a model by an error that they
share and each by one of its own, both as large as its standard error. That holds in either case,
and makes intervals wider by the square root of 2 at most.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum

import numpy as np
import pandas as pd

from odllm_agent.statistics.interval import Floats, generator
from odllm_controller.analysis.matching.cells import latest
from odllm_controller.analysis.matching.comparable import sources
from odllm_controller.analysis.matching.lineage import lineage
from odllm_controller.metrics import metric

_DRAWS = 1000
_QUANTILES = (0.025, 0.975)


class Budget(StrEnum):
    """What two models are made equal in: a column of `results`."""

    BYTES = "file_bytes"
    MEMORY = "peak_rss_bytes"


@dataclass(frozen=True, slots=True)
class _Quality:
    """A score as a duel takes it: more is better, and differences are comparable.

    Attributes:
        score: The score of values.
        error: Its standard error, of values and their standard errors.
    """

    score: Callable[[Floats], Floats]
    error: Callable[[Floats, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Pair:
    """Who meets where.

    Attributes:
        device: The device's name.
        configuration: The engine; at equal memory with its settings.
        workload_label: The workload with its sizes at equal memory; else `""`, since neither the
            size of a file nor a score hangs on it.
        family: The models' family.
        smaller: The model with fewer weights.
        larger: The one with more.
        quality: The score's metric: `accuracy` or `perplexity`.
        cost: What they are made equal in.
    """

    device: str
    configuration: str
    workload_label: str
    family: str
    smaller: str
    larger: str
    quality: str
    cost: Budget

    @property
    def seed(self) -> str:
        """What draws are made from."""
        return "/".join(getattr(self, field.name) for field in fields(Pair))


@dataclass(frozen=True, slots=True, eq=False)
class Duel:
    """The advantage of a larger model over a smaller one, by the larger one's types.

    Attributes:
        pair: Who meets where.
        types: The larger one's types that the smaller one has an equal of, all n of them.
        bpw: Their bits per weight, rising, shape (n,).
        advantage: The larger one's score less the smaller one's at the same cost, shape (n,).
        draws: The same for scores drawn within their errors, shape (draws, n).
        spread: Whether every score has an error; one without is taken as known.
    """

    pair: Pair
    types: tuple[str, ...]
    bpw: Floats
    advantage: Floats
    draws: Floats
    spread: bool

    @property
    def ends(self) -> tuple[Floats, Floats]:
        """The 95 % interval of each advantage, shape (n,) each."""
        if not self.types:
            return self.advantage, self.advantage
        low, high = np.quantile(self.draws, _QUANTILES, axis=0)
        return low, high


@dataclass(frozen=True, slots=True)
class Advantage(Pair):
    """One point of a duel.

    Attributes:
        quantization: The larger one's type.
        file_bpw: Its bits per weight.
        advantage: Of accuracy a difference of shares; of perplexity the logarithm of how many times
            as high the smaller one's is. Above 0 the larger one is better.
        advantage_low: The lower end of its 95 % interval.
        advantage_high: The upper end.
    """

    quantization: str
    file_bpw: float
    advantage: float
    advantage_low: float
    advantage_high: float


@dataclass(frozen=True, slots=True, eq=False)
class _Ladder:
    """The types of one model, with the logarithm of their cost, their score and its error."""

    model: str
    n_weights: int
    types: tuple[str, ...]
    bpw: Floats
    log_cost: Floats
    score: Floats
    error: Floats

    @property
    def n(self) -> int:
        return len(self.types)

    def drawn(self, chance: np.random.Generator) -> Floats:
        """Scores within their errors, shape (draws, n); one without an error stays as it is."""
        shared = chance.standard_normal((_DRAWS, 1))
        own = chance.standard_normal((_DRAWS, self.n))
        return self.score + np.nan_to_num(self.error) * (shared + own)


QUALITIES: Mapping[str, _Quality] = {
    "accuracy": _Quality(
        score=lambda values: values,
        error=lambda _, errors: errors,
    ),
    "perplexity": _Quality(
        score=lambda values: -np.log(values),
        error=lambda values, errors: errors / values,
    ),
}
"""The scores that can compare models, by their metric."""

# Of files, whatever was asked of them; of memory, only what was asked for the same.
_PLACES = {
    Budget.BYTES: ["device", "engine"],
    Budget.MEMORY: ["device", "configuration", "workload_label"],
}

_COLUMNS = [
    *("device", "engine", "configuration", "workload_label"),
    *("model", "quantization", "n_weights", "file_bpw", "accuracies", "quality_text"),
    *Budget,
    *(f"{quality}{part}" for quality in QUALITIES for part in ("", "_se")),
]


def duels(results: pd.DataFrame) -> Iterator[Duel]:
    """Every two sizes of a family that were measured alike, even if they share no room.

    Args:
        results: Rows as `results.load` gives them.
    """
    rows = latest(results)[_COLUMNS]
    rows = rows.assign(family=rows["model"].map(lineage)).dropna(subset=["family"])
    rows = rows.sort_values("file_bpw", kind="stable")
    for cost, quality in itertools.product(Budget, QUALITIES):
        scored = rows.dropna(subset=[quality, cost, "file_bpw", "n_weights"])
        if not scored.empty:
            yield from _of_score(scored, cost, quality)


def advantages(results: pd.DataFrame) -> tuple[Advantage, ...]:
    """The points of every duel, in the order of the duels and then of bits.

    Args:
        results: Rows as `results.load` gives them.
    """
    return tuple(point for duel in duels(results) for point in _points(duel))


def _points(duel: Duel) -> Iterator[Advantage]:
    low, high = duel.ends
    for place, kind in enumerate(duel.types):
        yield Advantage(
            **asdict(duel.pair),
            quantization=kind,
            file_bpw=float(duel.bpw[place]),
            advantage=float(duel.advantage[place]),
            advantage_low=float(low[place]),
            advantage_high=float(high[place]),
        )


def _of_score(rows: pd.DataFrame, cost: Budget, quality: str) -> Iterator[Duel]:
    rows = rows.assign(source=sources(rows, metric(quality)))
    keys = ["family", *_PLACES[cost], "source"]
    # The same file on several workloads has one score.
    rows = rows.drop_duplicates([*keys, "model", "quantization"], keep="last")
    for key, alike in rows.groupby(keys):
        family, device, configuration, *rest = map(str, key[:-1])
        of_sizes = alike.groupby(["n_weights", "model"])
        ladders = [_ladder(str(model), size, cost, quality) for (_, model), size in of_sizes]
        for smaller, larger in itertools.combinations(ladders, 2):
            if smaller.n_weights < larger.n_weights:
                workload = "".join(rest)
                names = (smaller.model, larger.model, quality, cost)
                yield _duel(Pair(device, configuration, workload, family, *names), smaller, larger)


def _ladder(model: str, rows: pd.DataFrame, cost: Budget, quality: str) -> _Ladder:
    """The types of one model; its rows come with their bits rising."""
    bpw, costs, found, errors = (
        rows[name].to_numpy("float64", na_value=np.nan)
        for name in ("file_bpw", cost, quality, f"{quality}_se")
    )
    of = QUALITIES[quality]
    n_weights = int(rows["n_weights"].iloc[0])
    scores = of.score(found), of.error(found, errors)
    return _Ladder(model, n_weights, tuple(rows["quantization"]), bpw, np.log(costs), *scores)


def _duel(pair: Pair, smaller: _Ladder, larger: _Ladder) -> Duel:
    order = np.argsort(smaller.log_cost, kind="stable")
    room = smaller.log_cost[order]
    met = (larger.log_cost >= room[0]) & (larger.log_cost <= room[-1])
    # Interpolation is linear in the scores, so that one matrix does it for all draws.
    share = np.stack([np.interp(larger.log_cost[met], room, each) for each in np.eye(smaller.n)])
    chance = generator(pair.seed)
    equal = smaller.drawn(chance)[:, order] @ share
    return Duel(
        pair=pair,
        types=tuple(kind for kind, its in zip(larger.types, met, strict=True) if its),
        bpw=larger.bpw[met],
        advantage=larger.score[met] - smaller.score[order] @ share,
        draws=larger.drawn(chance)[:, met] - equal,
        spread=not np.isnan(np.concatenate([smaller.error, larger.error])).any(),
    )
