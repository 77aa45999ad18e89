"""Whether prefill draws more power than decode."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, slots=True)
class PhasePower:
    """The power of prefill against that of decode over some trials.

    Attributes:
        n: The trials that have both.
        ratio: The median of prefill's power divided by decode's.
        n_sure: The trials whose two intervals do not meet, prefill's above.
        n_intervals: The trials that have both intervals.
    """

    n: int
    ratio: float
    n_sure: int
    n_intervals: int


def phase_power(results: pd.DataFrame) -> PhasePower | None:
    """Prefill against decode.

    Args:
        results: Rows as `results.load` gives them.

    Returns:
        `None` where no trial has both figures.
    """
    both = results.dropna(subset=["prefill_w", "decode_w"])
    if both.empty:
        return None
    return PhasePower(
        n=len(both),
        ratio=float((both["prefill_w"] / both["decode_w"]).median()),
        n_sure=int((both["prefill_w_low"] > both["decode_w_high"]).sum()),
        n_intervals=int((both["prefill_w_low"].notna() & both["decode_w_low"].notna()).sum()),
    )
