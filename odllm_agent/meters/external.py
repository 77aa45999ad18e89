"""A meter at the wall, whose readings another program writes to a file as they come.

A line is `time,watts`: the time by this machine's clock, as seconds since 1970 or in ISO 8601 with
its time zone. The first line may be a header; empty lines and those that begin with # are passed
over.
"""

import contextlib
import itertools
import math
import os
import statistics
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from odllm_agent.clock import monotonic_ns, now, seconds_between
from odllm_agent.errors import UsageError
from odllm_agent.files.typed_path import typed_path
from odllm_agent.meters.base import Meter, MeterReading, Unavailable, WindowLimits
from odllm_agent.meters.energy.tally import Tally
from odllm_agent.meters.request import Request
from odllm_agent.meters.sensors import open_sensors

DOMAIN = "wall"
MEANS = "integrated power of a file"

# The largest plug of a household carries 16 A at 240 V.
MOST_W = 3840.0

# Enough lines to tell the period from; what is older is not needed.
TAIL_BYTES = 16_384
FEWEST_LINES = 3

# A line may be written late and a period may vary; beyond it the power is anyone's guess.
LONGEST_GAP_PERIODS = 3

# The wall clock may be slewed by 500 parts in a million (adjtimex(2)), and is read a little after
# the other one.
CLOCK_SLEW = 0.001
CLOCK_STEP_S = 0.05

_START_IT = (
    "start the program that writes it before the run, a line at a time: READER >> FILE, or "
    "READER | odllm-agent power-log FILE"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A line of the file.

    Attributes:
        at_s: Seconds since 1970.
        watts: The power then.
    """

    at_s: float
    watts: float

    @classmethod
    def parse(cls, line: str) -> "Sample":
        """The sample of a line.

        Raises:
            ValueError: It is none.
        """
        at, _, power = line.partition(",")
        try:
            sample = cls(_seconds(at.strip()), float(power))
        except ValueError as error:
            raise ValueError(f"{line!r} is not time,watts: {error}") from error
        if not (math.isfinite(sample.at_s) and 0 <= sample.watts < math.inf):
            raise ValueError(f"{line!r} is not a time and a power of 0 W or more")
        return sample


class GrowingFile:
    """The lines that a file gets while it is looked at.

    Args:
        path: The file; of what it holds already only the end is read.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._rest = b""
        weakref.finalize(self, self._file.close)
        skipped_bytes = max(0, os.fstat(self._file.fileno()).st_size - TAIL_BYTES)
        self._file.seek(skipped_bytes)
        if skipped_bytes or _is_header(self._file.peek()):
            self._file.readline()

    def lines(self) -> list[str]:
        """What came whole since the last look.

        Raises:
            OSError: The file cannot be read.
            ValueError: It was cut short.
        """
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            raise ValueError("the file was cut short")
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        lines = [line.decode(errors="replace").strip() for line in whole]
        return [line for line in lines if line and not line.startswith("#")]


class PowerFile:
    """The energy of a file of powers: trapezoids between its lines, its last power beyond them.

    Args:
        path: The file, to which another program writes.

    Raises:
        OSError: It cannot be read.
        ValueError: A line of it is no sample.
        LookupError: It has too few lines to tell how often one comes.
    """

    def __init__(self, path: Path) -> None:
        self._file = GrowingFile(path)
        samples = [Sample.parse(line) for line in self._file.lines()]
        if len(samples) < FEWEST_LINES:
            raise LookupError(f"{path} has {len(samples)} lines, and needs {FEWEST_LINES}")
        self.period_s = period_s(samples)
        self._longest_gap_s = LONGEST_GAP_PERIODS * self.period_s
        self._last = samples[-1]
        self._lock = threading.Lock()
        self._tally = Tally()
        self._clocks = monotonic_ns(), now().timestamp()

    def read(self) -> MeterReading:
        """The joules so far; a file that is late, or clocks that disagree, give their reason."""
        with self._lock:
            at_ns, wall_s = monotonic_ns(), now().timestamp()
            self._check_clocks(at_ns, wall_s)
            self._take_lines(at_ns)
            lag_s = wall_s - self._last.at_s
            if not abs(lag_s) <= self._longest_gap_s:
                return self._tally.failure(at_ns, f"its last line is {lag_s:.3g} s old")
            return self._tally.reading(at_ns, self._last.watts * lag_s)

    def _check_clocks(self, at_ns: int, wall_s: float) -> None:
        last_ns, last_s = self._clocks
        seconds = seconds_between(last_ns, at_ns)
        step_s = wall_s - last_s - seconds
        if abs(step_s) > CLOCK_STEP_S + CLOCK_SLEW * seconds:
            self._tally.lose(at_ns, f"the clock was set by {step_s:.3g} s")
        self._clocks = at_ns, wall_s

    def _take_lines(self, at_ns: int) -> None:
        try:
            lines = self._file.lines()
        except (OSError, ValueError) as error:
            self._tally.lose(at_ns, str(error))
            return
        for line in lines:
            self._take(line, at_ns)

    def _take(self, line: str, at_ns: int) -> None:
        try:
            sample = Sample.parse(line)
        except ValueError as error:
            self._tally.lose(at_ns, str(error))
            return
        gap_s = sample.at_s - self._last.at_s
        if 0 <= gap_s <= self._longest_gap_s:
            self._tally.add((self._last.watts + sample.watts) / 2 * gap_s)
        else:
            self._tally.lose(at_ns, f"its lines are {gap_s:.3g} s apart")
        self._last = sample


def open_meter(request: Request) -> Meter:
    """The meter that writes the file, or one that says why there is none.

    Raises:
        UsageError: No file is named.
    """
    if "path" not in request.settings:
        raise UsageError(
            f"{request.text} names no file", "write external:path=/path/to/the/power.csv"
        )
    path = typed_path(request.settings["path"])
    try:
        if not path.is_file():
            return Unavailable(request.text, DOMAIN, f"there is no file {path}", _START_IT)
        file = PowerFile(path)
    except (LookupError, OSError, ValueError) as error:
        return Unavailable(request.text, DOMAIN, str(error), _START_IT)
    limits = WindowLimits.of_period(file.period_s, MOST_W)
    return open_sensors(request.text, MEANS, limits, {DOMAIN: file})


def period_s(samples: Sequence[Sample]) -> float:
    """The usual time between two samples, of which there must be two or more.

    Raises:
        ValueError: They are not in the order of their times.
    """
    gaps_s = [after.at_s - before.at_s for before, after in itertools.pairwise(samples)]
    if min(gaps_s) <= 0:
        raise ValueError("its lines are not in the order of their times")
    return statistics.median(gaps_s)


def _is_header(start: bytes) -> bool:
    return start[:1].isalpha() or start[:1] == b'"'


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        return float(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.timestamp()
