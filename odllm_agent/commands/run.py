"""`odllm-agent run`: what a controller has planned for this device, done without it."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from tqdm import tqdm

from odllm_agent.clock import now
from odllm_agent.commands import DONE, FAULT, SOME_FAILED
from odllm_agent.commands.bars import Bars
from odllm_agent.contract import CeilingsOrder, Failure, ModelFile, ModelRequest, Result
from odllm_agent.doctor import device
from odllm_agent.errors import DispatchError, UsageError
from odllm_agent.failures import Alike, Attempt, Failed, LeftOut, alike
from odllm_agent.files.folders import state_error, state_root
from odllm_agent.files.lock import Claim
from odllm_agent.models import Cache
from odllm_agent.offline import assignment
from odllm_agent.offline import execution as offline
from odllm_agent.offline.assignment import FORMAT, Assignment
from odllm_agent.offline.execution import Done
from odllm_agent.offline.logbook import Closing, Logbook, Opening, Planned, RunStatus, Unprepared
from odllm_agent.terminal.program import TYPED_PATH, program
from odllm_agent.trials import orders, worker
from odllm_agent.trials.schedule import Schedule

_EXAMPLES = """\
examples:
  odllm-agent describe --out laptop.json                here, for whoever plans
  odllm plan +experiment=sweep --device-file laptop.json --out trials.json   on the controller
  odllm-agent run trials.json --out results.jsonl       here, without Ray and without a network
  odllm import results.jsonl --store odllm.duckdb       on the controller

The same command again goes on where it was. A model of a hub needs a network until it is in this
device's cache (`odllm-agent models pull`).
Exit status: 0 done, 1 a fault, 2 wrong usage, 3 some failed, 130 interrupted
(143 by SIGTERM).
"""


app = program("run", examples=_EXAMPLES)


@app.default
def run(
    trials: Annotated[Path, TYPED_PATH, "trials"],
    /,
    *,
    out: Annotated[Path, TYPED_PATH],
    any_device: bool = False,
) -> int:
    """Measure what `odllm plan --device-file --out` wrote for this device, without Ray or network.

    Args:
        trials: what to do, as `odllm plan --out` wrote it
        out: where results go; what is there is gone on from
        any_device: also if it was planned for another device
    """
    asked, sha256 = assignment.read(trials)
    here = device.describe(meters=asked.meters)
    if not any_device and asked.device.id != here.id:
        raise UsageError(
            f"{trials} is for {asked.device.name} (id {asked.device.id}), and this is {here.name} "
            f"(id {here.id})",
            "plan for this device with what `odllm-agent describe` prints here, or add "
            "--any-device; threads and what fits were then planned for another one",
        )
    claim = _claimed()
    try:
        with Logbook(out, sha256) as logbook:
            return _Run(asked.on(here), logbook).carried_out(sha256)
    finally:
        claim.release()


def _claimed() -> Claim:
    claim = Claim(state_root() / "agent.lock")
    try:
        taken = claim.take()
    except OSError as error:
        raise state_error(state_root(), error) from error
    if not taken:
        raise DispatchError(
            f"{claim.holder} measures on this device",
            "wait for it, or end it: two would disturb each other",
        )
    return claim


class _Run:
    """One start of the command.

    Args:
        asked: What to do, as this device has it.
        logbook: Where it is written down.
    """

    def __init__(self, asked: Assignment, logbook: Logbook) -> None:
        self._asked = asked
        self._logbook = logbook
        self._done = Done.of(logbook.earlier)
        self._bars = Bars()
        self._cache = Cache.of_this_device(self._bars.update)
        self._failed: list[Failed] = []
        self._left_out: list[LeftOut] = []

    def carried_out(self, sha256: str) -> int:
        """Does what is left to do, and writes down how it began and ended.

        Args:
            sha256: The checksum of the file that says what to do.

        Returns:
            The exit status.
        """
        opening = Opening(
            format=FORMAT,
            assignment_sha256=sha256,
            started_at=now(),
            command=shlex.join(["odllm-agent", *sys.argv[1:]]),
            experiment=self._asked.experiment,
            device=self._asked.device,
            skips=self._asked.skips,
        )
        self._logbook.add(opening)
        ended = RunStatus.FAILED
        try:
            n_planned = self._carry_out()
            ended = RunStatus.FAILED if self._failed else RunStatus.DONE
        except KeyboardInterrupt:
            ended = RunStatus.INTERRUPTED
            raise
        finally:
            self._logbook.add(Closing(now(), ended))
            self._sum_up()
        if self._failed:
            return SOME_FAILED
        return DONE if n_planned else FAULT

    def _carry_out(self) -> int:
        """Does all of it; returns the number of trials."""
        asked, done = self._asked, self._done
        with self._bars:
            files = [file for file in map(self._prepared, asked.requests) if file]
            planned = offline.trials(asked, files)
            checks = offline.checks(asked, files, planned, self._prepare)
        for line in orders.fallbacks(asked.device, files, asked.engines):
            _say(f"note: {line}")
        for line in orders.beyond_context(planned, checks):
            _say(f"note: {line}")
        self._logbook.add(
            Planned(planned, asked.rounds, asked.rounds_at_most, asked.policy.interval_target)
        )
        self._find_ceilings(offline.ceilings(asked, planned, done))
        self._work_off(offline.schedule(asked, planned, checks, done))
        return len(planned)

    def _prepared(self, request: ModelRequest) -> ModelFile | None:
        found = self._prepare(request)
        if not isinstance(found, Failure):
            return found
        self._logbook.add(Unprepared(request, found))
        self._tell(Failed(Attempt.of_request(request), found))
        return None

    def _prepare(self, request: ModelRequest) -> ModelFile | Failure:
        return offline.prepare(request, self._cache)

    def _find_ceilings(self, orders: Sequence[CeilingsOrder]) -> None:
        for order in orders:
            _say(order.told)
            self._take(worker.perform(order))

    def _work_off(self, schedule: Schedule) -> None:
        _say(_outlook(len(schedule), self._asked.estimate_s))
        # Without a terminal it says nothing but failures.
        with tqdm(total=len(schedule), disable=None) as bar:
            while (order := schedule.next_order()) is not None:
                bar.set_description(order.told)
                result = worker.perform(order)
                self._take(result)
                for left_out in schedule.learn(result):
                    self._logbook.add(left_out)
                    self._left_out.append(left_out)
                bar.total = bar.n + 1 + len(schedule)
                bar.update()

    def _take(self, result: Result) -> None:
        self._logbook.add(result)
        if result.failure:
            self._tell(Failed(Attempt.of(result), result.failure))

    def _tell(self, failed: Failed) -> None:
        """Tells of a failure at once, unless one of its cause was told before."""
        if failed.cause not in {each.cause for each in self._failed}:
            _say("failed: " + "\n    ".join(Alike(failed.cause, (failed,)).lines()))
        self._failed.append(failed)

    def _sum_up(self) -> None:
        """Tells of every cause how often it was met, and what was not tried because of one."""
        for each in alike(self._failed):
            if len(each.failed) > 1:
                _say(f"failed: {each.head()}")
        for left_out in self._left_out:
            _say(f"not tried: {left_out.told()}")


def _outlook(n_left: int, estimate_s: float) -> str:
    if not n_left:
        return "nothing is left to do"
    guess = f"{estimate_s / 60:.0f} min" if estimate_s > 90 else f"{estimate_s:.0f} s"
    return f"{n_left} to do, all trials together about {guess} at most (estimated)"


def _say(told: str) -> None:
    tqdm.write(told, file=sys.stderr)
