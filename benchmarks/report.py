"""What the benchmarks found, for people and for scripts."""

import json
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Comparison
from benchmarks.memory import MOST_APART, PARTS, MemoryReport
from benchmarks.overhead import LIMIT_S, ROUNDS_PER_TRIAL, OverheadReport
from benchmarks.spread import Spread
from benchmarks.sweep import Sweep
from odllm_agent.contract import Device

_MS = 1e3
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found.

    Attributes:
        device: Where.
        date: On which day, in UTC.
        threads: Threads of both sides.
        comparisons: One per model file.
        overheads: One per model file.
        sweep: The last stored sweep, or `None` where there is none.
        memories: One per model file; none where the system does not tell.
    """

    device: Device
    date: str
    threads: int
    comparisons: tuple[Comparison, ...]
    overheads: tuple[OverheadReport, ...]
    sweep: Sweep | None
    memories: tuple[MemoryReport, ...] = ()

    def unmet(self) -> tuple[str, ...]:
        """Each wanted limit that is not met, in words."""
        speeds = [line for found in self.comparisons for line in found.unmet()]
        overheads = [line for found in self.overheads for line in found.unmet()]
        return (*speeds, *overheads, *(line for found in self.memories for line in found.unmet()))


def to_json(report: Report) -> str:
    """All raw values with the figures that follow from them."""
    content = asdict(report) | {
        "ratios": {
            f"{found.subject.model.name} against {found.peer}": {
                "prefill": asdict(found.prefill_ratio()),
                "decode": asdict(found.decode_ratio()),
            }
            for found in report.comparisons
        },
        "overhead_s_per_trial": {found.model: found.trial_s for found in report.overheads},
        "overhead_share_of_sweep": report.sweep.share if report.sweep else None,
        "unmet": report.unmet(),
    }
    return json.dumps(content, indent=1)


def print_report(console: Console, report: Report) -> None:
    """Prints the tables, and what is not as wanted."""
    device = report.device
    engines = ", ".join(f"{name} {version}" for name, version in device.engines.items())
    console.print(
        f"{report.date}, {device.cpu}, {device.physical_cores} cores, {device.system}, "
        f"{engines}, {report.threads} threads",
        highlight=False,
    )
    for table in (_speeds(report), _overheads(report), _memories(report)):
        console.print()
        console.print(table)
    console.print()
    console.print(_sweep_line(report.sweep), highlight=False)
    for line in report.unmet():
        console.print(f"not met: {line}", style="bold red", highlight=False)


def _speeds(report: Report) -> Table:
    table = _table(
        "Speed: ODLLM / the engine's own tool, median of the pairs and its quartiles",
        ("model", "type", "tool", "phase"),
        ("ODLLM tok/s", "tool tok/s", "ratio", "wanted", "pairs", "disturbed"),
    )
    for found in report.comparisons:
        for phase, ratio in (
            ("prefill", found.prefill_ratio()),
            ("decode", found.decode_ratio()),
        ):
            table.add_row(*_speed_row(found, phase, ratio))
    return table


def _speed_row(found: Comparison, phase: str, ratio: Spread) -> tuple[str, ...]:
    subject = found.subject
    ours, theirs = (
        Spread.of([getattr(getattr(pair, side), f"{phase}_tok_s") for pair in found.counted()])
        for side in ("ours", "theirs")
    )
    most = "" if subject.most_ratio is None else f" to {subject.most_ratio:g}"
    return (
        subject.model.name,
        subject.model.quantization,
        found.peer,
        phase,
        f"{ours.median:,.1f}",
        f"{theirs.median:,.1f}",
        f"{ratio.median:.3f} [{ratio.lower:.3f}, {ratio.upper:.3f}]",
        f"{subject.least_ratio:g}{most or ' or more'}",
        str(ratio.n),
        str(sum(bool(pair.flags) for pair in found.pairs)),
    )


def _overheads(report: Report) -> Table:
    table = _table(
        "Overhead: neither loading, warm-up nor a measured window, medians",
        ("model", "part"),
        ("ms a round", f"s a trial ({ROUNDS_PER_TRIAL} rounds)", "wanted"),
    )
    for found in report.overheads:
        for part, ms in _parts_ms(found):
            table.add_row(found.model, part, f"{ms:.1f}", "", "")
        total_ms = _MS * found.median_s(lambda each: each.total_s)
        limit = f"at most {LIMIT_S:g}"
        table.add_row(found.model, "all", f"{total_ms:.1f}", f"{found.trial_s:.3f}", limit)
    return table


def _parts_ms(found: OverheadReport) -> list[tuple[str, float]]:
    start_s = found.median_s(lambda each: each.start_s)
    rest_s = start_s - sum(found.starts_s.values())
    parts = {
        **{f"start: {name}": seconds for name, seconds in found.starts_s.items()},
        "start: the rest": rest_s,
        "between windows": found.median_s(lambda each: each.between_s),
        "end": found.median_s(lambda each: each.end_s),
    }
    return [(name, _MS * seconds) for name, seconds in parts.items()]


def _memories(report: Report) -> Table:
    table = _table(
        "Memory: the worker's own account / the kernel's, seen from outside",
        ("model", "part"),
        ("worker MB", "kernel MB", "apart %", "wanted"),
    )
    for found in report.memories:
        for part in PARTS:
            table.add_row(
                found.model,
                part.removesuffix("_bytes"),
                f"{getattr(found.inside, part) / _MB:.1f}",
                f"{getattr(found.outside, part) / _MB:.1f}",
                f"{100 * found.apart(part):.2f}",
                f"at most {100 * MOST_APART:g}",
            )
    return table


def _sweep_line(sweep: Sweep | None) -> str:
    if sweep is None:
        return "No stored sweep: `make sweep` makes one, and then its overhead is told here."
    return (
        f"Last stored sweep ({sweep.started_at}): {sweep.n_trials} trials in {sweep.n_rounds} "
        f"rounds took {sweep.wall_s:.1f} s, {sweep.workers_s:.1f} s of them in workers; overhead "
        f"{sweep.overhead_s:.1f} s, {100 * sweep.share:.1f} % of the sweep."
    )


def _table(title: str, texts: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in texts:
        table.add_column(heading, no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table
