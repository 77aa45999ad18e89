"""`python -m tests.fuzz`: mutated files and spoilt sensors, read by everything that reads them."""

import argparse
import os
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.fuzz import questions, sensors
from tests.fuzz.campaign import Tally
from tests.fuzz.sandbox import run_apart

_CHUNK = 250
_MOST_BYTES = 2**30
_EXAMPLES = """\
examples:
  python -m tests.fuzz                              10,000 mutations, one in 50 in all processes
  python -m tests.fuzz --seed 7 --only 1234         one of them again
  python -m tests.fuzz.sensors                      2,000 machines with spoilt sensors alone

Exit status: 0 nothing broke, 1 something did.
"""


def main() -> int:
    """Reads mutated files on all processors and prints what came of it.

    Returns:
        The exit status.
    """
    options = _parser().parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}, {options.mutations:,} mutations", flush=True)
    numbers = [options.only] if options.only is not None else range(options.mutations)
    every = 1 if options.only is not None else options.others_every
    chunks = [numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK)]
    tally, peak_bytes = Tally(), 0
    # Each process reads one chunk, so that its peak is that of few files.
    context = get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context, max_tasks_per_child=1) as pool:
        jobs = [pool.submit(run_apart, seed, chunk, every) for chunk in chunks]
        for done, job in enumerate(jobs, start=1):
            part, part_peak_bytes = job.result()
            print(f"\r{done} of {len(jobs)} parts", end="", file=sys.stderr, flush=True)
            tally.add(part)
            peak_bytes = max(peak_bytes, part_peak_bytes)
            for breach in part.breaches:
                print(breach, flush=True)
    _print(tally, peak_bytes)
    if options.only is not None:
        return 1 if tally.breaches or peak_bytes > _MOST_BYTES else 0
    wrong = [*questions.broken(seed), *sensors.misread(seed)]
    return 1 if tally.breaches or wrong or peak_bytes > _MOST_BYTES else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, help="another one every time unless told")
    parser.add_argument("--others-every", type=int, default=50, help="0: no other processes")
    parser.add_argument("--only", type=int, help="the number of one mutation")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser


def _print(tally: Tally, peak_bytes: int) -> None:
    for title, figures in (("read by", tally.outcomes), ("mutated", tally.kinds)):
        print(f"\n{title}")
        for name in dict.fromkeys(name for name, _ in figures):
            ended = {how: n for (of, how), n in figures.most_common() if of == name}
            told = ", ".join(f"{how} {n:,}" for how, n in ended.items())
            print(f"  {name:18} {sum(ended.values()):7,}: {told}")
    print(
        f"\n{len(tally.breaches)} breaches; in the agent's own process at most "
        f"{tally.longest_s:.2f} s for a file and {peak_bytes / 1e6:,.0f} MB in all"
    )


if __name__ == "__main__":
    sys.exit(main())
