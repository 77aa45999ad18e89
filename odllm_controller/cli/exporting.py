"""`odllm export`: the view `results` as a file, or llama-bench's JSON lines of what it rests on."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, TypeAlias

import pandas as pd
import pyarrow as pa
from cyclopts import Parameter
from rich.console import Console

from odllm_agent.errors import UsageError
from odllm_agent.files.typed_path import STANDARD
from odllm_agent.terminal import streams
from odllm_agent.terminal.program import STORE, TYPED_PATH, StorePath, one_of, program
from odllm_controller import store
from odllm_controller.analysis.queries import account
from odllm_controller.cli import table
from odllm_controller.exchange.llama_bench import lines as bench_lines
from odllm_controller.exchange.llama_bench.lines import Windows
from odllm_controller.exchange.result_files import write_csv, write_json_lines, write_parquet

_EXAMPLES = """\
examples:
  odllm export results.parquet                      all of the view `results`
  odllm export results.csv --run 20261124T143000-4fa2c1
  odllm export - --format jsonl | jq .decode_tok_s
  odllm export bench.jsonl --format llama-bench     for tools that read llama-bench

The format is told by the file's ending, unless --format names it. The columns are those of
docs/results.md, in the store's own units. Another store takes the file with `odllm import`.
Exit status: 0 done, 1 the store cannot be read, 2 wrong usage.
"""
_OF_RUN = """
($run IS NULL OR run = $run OR trial_id IN (SELECT trial_id FROM planned WHERE run_id = $run))
"""
_RESULTS = f"SELECT * FROM results WHERE {_OF_RUN} ORDER BY device, model, file_bpw, trial_id"  # noqa: S608 - our own text
_WINDOWS = f"""
WITH wanted AS (SELECT trial_id FROM results WHERE {_OF_RUN}),
rates AS (FROM rates_of((SELECT list(trial_id) FROM wanted)))
SELECT trial_id, 'prefill' AS phase, min(started_at) AS started_at,
    list(prefill_s ORDER BY repeat) AS window_s
FROM rates
GROUP BY trial_id, run_id, round
UNION ALL
SELECT trial_id, 'decode', min(started_at), list(decode_s ORDER BY repeat)
FROM rates
WHERE decode_s IS NOT NULL
GROUP BY trial_id, run_id, round
UNION ALL
SELECT imported.trial_id, if(prompt_tokens > 0, 'prefill', 'decode'),
    min(imported_samples.started_at), list(window_s ORDER BY repeat)
FROM imported_samples
JOIN imported USING (row_id)
SEMI JOIN wanted ON wanted.trial_id = imported.trial_id
GROUP BY imported.trial_id, round, prompt_tokens
ORDER BY trial_id, started_at, phase DESC
"""  # noqa: S608 - our own text


class ExportFormat(StrEnum):
    """How results are written."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON_LINES = "jsonl"
    LLAMA_BENCH = "llama-bench"


Writer: TypeAlias = Callable[[pa.Table, BinaryIO], None]
_WRITERS: Mapping[ExportFormat, Writer] = {
    ExportFormat.PARQUET: write_parquet,
    ExportFormat.CSV: write_csv,
    ExportFormat.JSON_LINES: write_json_lines,
}


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What `odllm export` was asked.

    Attributes:
        format: how; by the file's ending if not given
        run: of this run alone; `odllm explore` lists them
        store: where the results are
    """

    format: Annotated[ExportFormat | None, one_of(ExportFormat)] = None
    run: str | None = None
    store: StorePath = STORE


app = program("odllm export", examples=_EXAMPLES)


@app.default
def write(
    out: Annotated[Path, TYPED_PATH, "OUT"], /, *, options: ExportOptions = ExportOptions()
) -> int:
    """Write what was measured into a file.

    Args:
        out: a file, or - for the output
        options: what, and how
    """
    export(out, options, table.console(stderr=True))
    return 0


def export(out: Path, options: ExportOptions, console: Console) -> None:
    """Writes the results that were asked for.

    Args:
        out: The file to write, or `-` for the standard output.
        options: What to write, and how.
        console: Where it is told, away from the results.

    Raises:
        StoreError: The store cannot be read.
        UsageError: There is no such format or run, or the file cannot be written.
    """
    wanted = options.format or _format_of(out)
    if wanted is ExportFormat.PARQUET and out == STANDARD:
        raise UsageError("Parquet is no text", "name a file, or another --format")
    if options.run is not None:
        account.find(options.store, options.run)
    rows = store.read_table(options.store, _RESULTS, {"run": options.run})
    with _opened(out, options.store) as file:
        if wanted is ExportFormat.LLAMA_BENCH:
            told = _write_tests(rows, options, file)
        else:
            _WRITERS[wanted](rows, file)
            told = f"{rows.num_rows} rows of `results`"
        console.print(f"{out}: {told}", markup=False, highlight=False, soft_wrap=True)


def _format_of(out: Path) -> ExportFormat:
    ending = out.suffix.removeprefix(".").lower()
    if ending in set(_WRITERS):
        return ExportFormat(ending)
    raise UsageError(
        f"the ending of {out} names no format",
        f"end it in {', '.join(f'.{each}' for each in _WRITERS)}, or tell --format",
    )


def _write_tests(rows: pa.Table, options: ExportOptions, file: BinaryIO) -> str:
    """Writes a line per trial, phase and round, and tells what had to be left out."""
    trials = {row["trial_id"]: row for row in rows.to_pylist() if row["repeats"]}
    windows = store.read(options.store, _WINDOWS, {"run": options.run})
    written = set()
    n_lines = 0
    for trial_id, phase, started_at, window_s in windows.itertuples(index=False, name=None):
        if bench_lines.is_of_llama_cpp(trials[trial_id]):
            moment = None if pd.isna(started_at) else started_at
            each = Windows(phase, moment, tuple(map(float, window_s)))
            file.write(bench_lines.line(trials[trial_id], each).encode() + b"\n")
            written.add(trial_id)
            n_lines += 1
    left = len(trials) - len(written)
    return f"{n_lines} tests of {len(written)} trials" + (
        f"; {left} left out: llama-bench knows llama.cpp alone, and wants the repeats" * (left > 0)
    )


@contextlib.contextmanager
def _opened(out: Path, store_path: Path) -> Iterator[BinaryIO]:
    """The file, which stands in its place only once it is whole, or the standard output."""
    if out == STANDARD:
        with streams.until_unread():
            yield sys.stdout.buffer
        return
    if out.exists() and store_path.exists() and out.samefile(store_path):
        raise UsageError(f"{out} is the store itself", "name another file")
    draft = out.with_name(f"{out.name}.part")
    try:
        with draft.open("wb") as file:
            yield file
        draft.replace(out)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", "name another place"
        ) from error
    finally:
        draft.unlink(missing_ok=True)
