"""`python -m benchmarks`: ODLLM beside the engines' own tools, and what a trial costs besides."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks import memory, overhead
from benchmarks.comparison import Comparison, Pair, compare, trial
from benchmarks.genai_pipeline import GenaiPipeline
from benchmarks.llama_bench import LlamaBench
from benchmarks.overhead import OverheadReport
from benchmarks.peer import Peer
from benchmarks.report import Report, print_report, to_json
from benchmarks.subject import SHAPE, Subject, default_names, subjects
from benchmarks.sweep import last_sweep
from benchmarks.tool import build
from odllm_agent.clock import now
from odllm_agent.contract import Scalar, Trial
from odllm_agent.doctor import device
from odllm_agent.errors import OdllmError, UsageError
from odllm_agent.meters import AUTO
from odllm_controller.cli.table import console

Tell = Callable[[str], None]

OPENVINO_LEAST_RATIO = 0.98

_DONE, _LIMIT_NOT_MET, _WRONG_USAGE = 0, 1, 2
_EXAMPLES = """\
examples:
  python -m benchmarks                             everything, some ten minutes on two cores
  python -m benchmarks --pairs 60 --model reference-7.6M
  python -m benchmarks --json > bench.json         all raw values

Leave the machine alone meanwhile: a pair that ran beside other load is measured again.
Exit status: 0 all limits met, 1 one is not, 2 wrong usage.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks and prints what they found.

    Returns:
        The exit status: 0 all limits met, 1 one is not or a fault, 2 wrong usage.
    """
    options = _parser().parse_args(arguments)
    progress = Console(stderr=True, highlight=False)
    try:
        report = _report(options, progress.print)
    except OdllmError as error:
        progress.print(f"benchmarks: {error}", markup=False)
        return _WRONG_USAGE if isinstance(error, UsageError) else _LIMIT_NOT_MET
    if options.json:
        sys.stdout.write(to_json(report) + "\n")
    else:
        print_report(console(), report)
    return _LIMIT_NOT_MET if report.unmet() else _DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compares ODLLM with llama-bench and openvino-genai, in turn, and tells what a "
        "trial costs besides.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pairs", type=_pairs, default=20, help="pairs per model (20)")
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help=f"a reference model, or {SHAPE}; may be given again (the largest reference model, "
        f"and {SHAPE})",
    )
    parser.add_argument("--threads", type=int, help="threads of both sides (the physical cores)")
    parser.add_argument(
        "--attention",
        choices=("paged", "stateful"),
        default="paged",
        help="the form of the model on OpenVINO, on both sides (paged)",
    )
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("results/odllm.duckdb"),
        help="the store whose last sweep is looked at (results/odllm.duckdb)",
    )
    parser.add_argument("--json", action="store_true", help="print all raw values as JSON")
    return parser


def _pairs(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one pair is needed")
    return number


def _report(options: argparse.Namespace, tell: Tell) -> Report:
    here = device.describe()
    threads = options.threads or here.physical_cores
    tell("building llama-bench and preparing the models")
    peers: dict[str, Peer] = {"llama_cpp": LlamaBench(build("llama-bench"))}
    told: dict[str, dict[str, Scalar]] = {"llama_cpp": {"threads": threads}}
    if "openvino" in here.engines:
        peers["openvino"] = GenaiPipeline(f"openvino-genai {options.attention}")
        told["openvino"] = {"threads": threads, "attention": options.attention}
    chosen = subjects(options.model or default_names())
    return Report(
        device=here,
        date=now().date().isoformat(),
        threads=threads,
        comparisons=tuple(
            _compared(
                subject,
                trial(subject.model, here, engine, **told[engine]),
                peer,
                options.pairs,
                tell,
            )
            for engine, peer in peers.items()
            for subject in _subjects_of(engine, chosen)
        ),
        overheads=tuple(
            _overhead(trial(subject.model, here, "llama_cpp", **told["llama_cpp"]), tell)
            for subject in chosen
        ),
        sweep=last_sweep(options.store),
        memories=tuple(
            memory.measure(trial(subject.model, here, "llama_cpp", **told["llama_cpp"]))
            for subject in (chosen if sys.platform == "linux" else ())
        ),
    )


def _subjects_of(engine: str, chosen: Sequence[Subject]) -> Sequence[Subject]:
    """The model files with what is wanted of an engine on them."""
    if engine == "llama_cpp":
        return chosen
    return [replace(each, least_ratio=OPENVINO_LEAST_RATIO, most_ratio=None) for each in chosen]


def _compared(
    subject: Subject, subject_trial: Trial, peer: Peer, pairs: int, tell: Tell
) -> Comparison:
    def tell_pair(pair: Pair) -> None:
        prefill = pair.ours.prefill_tok_s / pair.theirs.prefill_tok_s
        decode = pair.ours.decode_tok_s / pair.theirs.decode_tok_s
        disturbed = f" ({', '.join(pair.flags)})" if pair.flags else ""
        tell(
            f"{subject.model.name} / {peer.name}: prefill {prefill:.3f}, decode {decode:.3f}"
            f"{disturbed}"
        )

    return compare(subject, subject_trial, peer, pairs, tell_pair)


def _overhead(subject_trial: Trial, tell: Tell) -> OverheadReport:
    tell(f"{subject_trial.model.name}: overhead")
    return overhead.measure(subject_trial, meters=(AUTO,))


if __name__ == "__main__":
    sys.exit(main())
