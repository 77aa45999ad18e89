"""The joules that a sensor has told of so far, and when it last lost count of them."""

from odllm_agent.meters.base import MeterReading


class Tally:
    """Joules so far, and the last fault."""

    def __init__(self) -> None:
        self._total_j = 0.0
        self._fault_ns = 0
        self._fault = ""

    def add(self, joules: float) -> None:
        """Counts these joules too."""
        self._total_j += joules

    def lose(self, at_ns: int, fault: str) -> None:
        """Says that no window may be told that holds this moment."""
        self._fault_ns, self._fault = at_ns, fault

    def reading(self, at_ns: int, extra_j: float = 0.0) -> MeterReading:
        """The joules so far.

        Args:
            at_ns: When the sensor was read.
            extra_j: What comes on top at this moment and is not counted yet.
        """
        return MeterReading(at_ns, self._total_j + extra_j, "", self._fault_ns, self._fault)

    def failure(self, at_ns: int, reason: str) -> MeterReading:
        """No figure at this moment, nor for a window that holds it."""
        self.lose(at_ns, reason)
        return MeterReading(at_ns, None, reason, self._fault_ns, self._fault)
