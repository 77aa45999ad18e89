"""What data say of a claim, and what they are."""

from dataclasses import dataclass

import pandas as pd

from odllm_agent.contract import DeviceKind
from odllm_controller.analysis.statistics.standing import Standing


@dataclass(frozen=True, slots=True)
class Verdict:
    """What some data say of one claim.

    Attributes:
        number: The claim's number.
        claim: The claim.
        standing: Whether the data support it.
        evidence: What they say, in plain words with numbers.
        n: The trials that it rests on.
        models: How many models they are of.
        devices: How many devices they were measured on.
        wanted: What would decide it; `""` where it is decided.
    """

    number: int
    claim: str
    standing: Standing
    evidence: str
    n: int
    models: int
    devices: int
    wanted: str

    @property
    def sample(self) -> str:
        """What it rests on, in words."""
        counts = ((self.n, "trial"), (self.models, "model"), (self.devices, "device"))
        return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """A verdict before its claim is put to it.

    Attributes:
        standing: Whether the data support the claim.
        evidence: What they say, a sentence each; empty ones count as none.
        rows: The trials that it rests on.
        wanted: What would decide it.
    """

    standing: Standing
    evidence: tuple[str, ...]
    rows: pd.DataFrame
    wanted: str

    def verdict(self, number: int, claim: str) -> Verdict:
        """The verdict on a claim."""
        parts = sorted(set(self.rows["device"][self.rows["device_kind"] == DeviceKind.VIRTUAL]))
        told = f"Parts of one machine, not machines: {', '.join(parts)}." if parts else ""
        return Verdict(
            number,
            claim,
            self.standing,
            " ".join(each for each in (*self.evidence, told) if each),
            len(self.rows),
            self.rows["model"].nunique(),
            self.rows["device"].nunique(),
            self.wanted if self.standing is Standing.UNDECIDED else "",
        )
