"""Which starts of llama-bench are rounds of one row: those of the same test in the same file.

Nothing that llama-bench tells sets two builds of one commit, or two runs of another driver, apart,
and figures that were once taken together cannot be parted again. So a file stands for a session,
and it is known by what is in it: one that holds a start which is stored already is that file again,
grown, renamed or in another form. One that holds none has rows of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from odllm_controller.exchange.figures import Figures


@dataclass(frozen=True, slots=True)
class Placed:
    """The figures of a file, each in its row.

    Attributes:
        figures: What is to be stored, with the place of each in the file.
        n_known: How many more are there already, with their samples.
        n_joined: How many rows of before become rounds of others, since this file holds both.
        contradicted: The places in the file of those that tell the averages and the time of one
            before them, and other samples.
    """

    figures: tuple[tuple[int, Figures], ...]
    n_known: int
    n_joined: int
    contradicted: tuple[int, ...]


def placed(found: Sequence[tuple[int, Figures]], known: Mapping[str, str]) -> Placed:
    """Puts the starts of a file into rows.

    Args:
        found: Figures with a start, in their order, with their places in the file.
        known: The rows of those starts that are stored with their samples.
    """
    firsts = _firsts(found)
    starts = [first.start for first in firsts.values() if first.start]
    rows: dict[str, str] = {}
    for start in starts:
        if start.id in known:
            rows.setdefault(start.subject, known[start.id])
    for start in starts:
        rows.setdefault(start.subject, start.row_id)
    told = firsts.keys() | known.keys()
    sound = [pair for pair in found if not _contradicts(pair[1], firsts)]
    kept = [pair for pair in sound if pair[1].samples or _id(pair[1]) not in told]
    return Placed(
        figures=tuple((place, _moved(each, rows, known)) for place, each in kept),
        n_known=len(sound) - len(kept),
        n_joined=len({known[i] for i in firsts if i in known} - {*rows.values()}),
        contradicted=tuple(place for place, each in found if _contradicts(each, firsts)),
    )


def _firsts(found: Sequence[tuple[int, Figures]]) -> Mapping[str, Figures]:
    """The first figures with samples of each start."""
    firsts: dict[str, Figures] = {}
    for _, each in found:
        if each.samples:
            firsts.setdefault(_id(each), each)
    return firsts


def _contradicts(figures: Figures, firsts: Mapping[str, Figures]) -> bool:
    return bool(figures.samples) and figures.samples != firsts[_id(figures)].samples


def _id(figures: Figures) -> str:
    return figures.start.id if figures.start else ""


def _moved(figures: Figures, rows: Mapping[str, str], known: Mapping[str, str]) -> Figures:
    """The figures in their row, and out of those where they were before."""
    start = figures.start
    if start is None:
        return figures
    left = [start.earlier]
    row_id = figures.row["row_id"]
    if figures.samples:
        row_id = rows[start.subject]
        # Their averages alone may have been a row, and another file may have held them.
        left += [(start.row_id, ""), (known.get(start.id, row_id), start.id)]
    return replace(
        figures,
        row=figures.row | {"row_id": row_id, "trial_id": row_id},
        samples=tuple(sample | {"row_id": row_id} for sample in figures.samples),
        moved_from=tuple(place for place in left if place != (row_id, start.id)),
    )
