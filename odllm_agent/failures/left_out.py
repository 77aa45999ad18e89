"""What is not tried any more because its like failed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from odllm_agent.contract import QualityCheck
from odllm_agent.failures.grouping import counted, named


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a run leaves out on a device, after several in a row failed alike.

    Attributes:
        what: What all of it is of, such as `llama_cpp at Q4_0`.
        cause: Why those before it failed, in words.
        n_failed: How many did.
        n_rounds: The rounds that are left out, without those that were spare.
        trial_ids: The trials that they are of.
        checks: The quality checks that are left out.
    """

    what: str
    cause: str
    n_failed: int
    n_rounds: int
    trial_ids: tuple[str, ...]
    checks: tuple[QualityCheck, ...]

    @property
    def reason(self) -> str:
        """Why one of its trials or checks has no figures."""
        return f"not tried, after {self.n_failed} in a row failed alike: {self.cause}"

    def told(self, devices: Sequence[str] = ()) -> str:
        """One line: how much is left out, of what, and why.

        Args:
            devices: Where, in words.
        """
        n_each = (self.n_rounds, "round"), (len(self.checks), "quality check")
        counts = " and ".join(counted(n, noun) for n, noun in n_each if n) or "spare rounds"
        on = f" on {named(devices)}" if devices else ""
        return f"{counts} of {self.what}{on}, after {self.n_failed} failed alike"


def merged(found: Sequence[tuple[str, LeftOut]]) -> list[str]:
    """A line for each kind of what is left out, however many devices leave it out.

    Args:
        found: What each device, in words, leaves out.
    """
    kinds: dict[tuple[str, int], list[tuple[str, LeftOut]]] = {}
    for device, each in found:
        kinds.setdefault((each.what, each.n_failed), []).append((device, each))
    return [_sum(each).told([device for device, _ in each]) for each in kinds.values()]


def _sum(of: Sequence[tuple[str, LeftOut]]) -> LeftOut:
    every = [each for _, each in of]
    return replace(
        every[0],
        n_rounds=sum(each.n_rounds for each in every),
        trial_ids=tuple(trial_id for each in every for trial_id in each.trial_ids),
        checks=tuple(check for each in every for check in each.checks),
    )
