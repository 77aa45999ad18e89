"""Power that a thread reads again and again, integrated over time."""

import threading
import time
import weakref
from collections.abc import Callable

from odllm_agent.clock import monotonic_ns, seconds_between
from odllm_agent.meters.base import MeterReading
from odllm_agent.meters.energy.tally import Tally

# A thread may come late under load; after as many periods the power in between is anyone's guess.
LONGEST_GAP_PERIODS = 10


class Integral:
    """The energy of a power sensor: trapezoids between its readings.

    The sensor is read when the energy is, and every period in between. The thread ends by itself
    once the integral is dropped.

    Args:
        power_w: Reads the sensor, in watts; raises where it cannot tell.
        period_s: The time between two readings.

    Raises:
        Exception: Whatever the first reading raises.
    """

    def __init__(self, power_w: Callable[[], float], period_s: float) -> None:
        self._power_w = power_w
        self._longest_gap_s = LONGEST_GAP_PERIODS * period_s
        self._lock = threading.Lock()
        self._tally = Tally()
        self._last: tuple[int, float] | None = (monotonic_ns(), power_w())
        threading.Thread(
            target=_keep_reading, args=(weakref.ref(self), period_s), daemon=True
        ).start()

    def read(self) -> MeterReading:
        """The joules so far; a sensor that fails gives its reason."""
        with self._lock:
            at_ns = monotonic_ns()
            try:
                watts = self._power_w()
            except Exception as error:  # noqa: BLE001 - the failure becomes data
                self._last = None
                return self._tally.failure(at_ns, str(error) or type(error).__name__)
            self._add(at_ns, watts)
            return self._tally.reading(at_ns)

    def _add(self, at_ns: int, watts: float) -> None:
        if self._last is not None:
            last_ns, last_w = self._last
            seconds = seconds_between(last_ns, at_ns)
            if seconds > self._longest_gap_s:
                self._tally.lose(at_ns, f"the power was not read for {seconds:.3g} s")
            else:
                self._tally.add((last_w + watts) / 2 * seconds)
        self._last = (at_ns, watts)


def _keep_reading(reference: weakref.ref[Integral], period_s: float) -> None:
    while (integral := reference()) is not None:
        integral.read()
        del integral
        time.sleep(period_s)
