"""What llama-bench told, captured and by hand."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

DATA = Path(__file__).parent / "data"

# As llama-bench of September 2023 named its fields.
OLD: dict[str, object] = {
    "build_commit": "abc1234",
    "build_number": 1200,
    "cuda": False,
    "metal": False,
    "gpu_blas": False,
    "blas": True,
    "cpu_info": "Example 7000",
    "gpu_info": "",
    "model_filename": "models/7B/tiny-q4_0.gguf",
    "model_type": "llama 7B mostly Q4_0",
    "model_size": 4_500_000,
    "model_n_params": 8_000_000,
    "n_batch": 512,
    "n_threads": 4,
    "f16_kv": True,
    "n_gpu_layers": 0,
    "main_gpu": 0,
    "mul_mat_q": True,
    "tensor_split": "0.00",
    "n_prompt": 512,
    "n_gen": 0,
    "test_time": "2023-09-23T12:09:57Z",
    "avg_ns": 2_000_000_000,
    "stddev_ns": 500_000_000,
    "avg_ts": 273.0,
    "stddev_ts": 70.0,
    "samples_ns": [1_000_000_000, 2_000_000_000, 4_000_000_000],
    "samples_ts": [512.0, 256.0, 128.0],
}


def entry(**changes: object) -> dict[str, object]:
    """A test of an old version with some fields changed; `...` leaves one out."""
    told = OLD | changes
    return {name: value for name, value in told.items() if value is not ...}


_CAPTURED = (DATA / "llama-bench-0c1e570.jsonl").read_text().splitlines()

# As llama-bench of 2026 names its fields.
NEW: dict[str, object] = json.loads(_CAPTURED[0]) | {
    "cpu_info": "Example 9000",
    "model_filename": "models/tiny-Q4_0.gguf",
    "model_type": "llama 1B Q4_0",
    "model_size": 600_000_000,
    "model_n_params": 1_000_000_000,
    "n_prompt": 512,
    "n_gen": 0,
    "n_depth": 0,
    "avg_ns": 1_000_000_000,
    "stddev_ns": 10_000_000,
    "avg_ts": 512.0,
    "stddev_ts": 5.0,
    "samples_ns": [990_000_000, 1_000_000_000, 1_010_000_000],
    "samples_ts": [517.2, 512.0, 506.9],
}
_SAMPLES = ("samples_ns", "samples_ts")


def start_of(start: int = 0, /, **changes: object) -> dict[str, object]:
    """A test of a new version, as started at so many minutes, each start with other figures."""
    of_start = {
        "test_time": f"2026-01-02T{3 + start // 60:02}:{start % 60:02}:05Z",
        "avg_ns": 1_000_000_000 + start,
        "samples_ns": [990_000_000 + start, 1_000_000_000 + start, 1_010_000_000 + start],
    }
    return NEW | of_start | changes


def as_json(*tests: Mapping[str, object]) -> str:
    """What `-o json` writes."""
    return json.dumps(tests, indent=2) + "\n"


def as_lines(*tests: Mapping[str, object]) -> str:
    """What `-o jsonl` writes."""
    return "".join(json.dumps(test) + "\n" for test in tests)


def as_csv(*tests: Mapping[str, object], delimiter: str = ",") -> str:
    """What `-o csv` writes, or a spreadsheet made of it."""
    names = [name for name in tests[0] if name not in _SAMPLES]
    lines = [[_plain(test[name]) for name in names] for test in tests]
    quoted = [
        delimiter.join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines
    ]
    return "\n".join([delimiter.join(names), *quoted]) + "\n"


def as_sql(*tests: Mapping[str, object]) -> str:
    """What `-o sql` writes."""
    names = [name for name in tests[0] if name not in _SAMPLES]
    columns = ",\n".join(f"  {name} {_affinity(tests[0][name])}" for name in names)
    rows = [", ".join(f"'{_plain(test[name])}'" for name in names) for test in tests]
    into = f"INSERT INTO llama_bench ({', '.join(names)}) "
    inserts = "".join(f"{into}VALUES ({row});\n" for row in rows)
    return f"CREATE TABLE IF NOT EXISTS llama_bench (\n{columns}\n);\n\n{inserts}"


def as_markdown(*tests: Mapping[str, object], sign: str = "±") -> str:
    """What `-o md` writes of the default settings."""
    lines = [
        "| model                          |       size |     params | backend    | threads |"
        "            test |                  t/s |",
        "| ------------------------------ | ---------: | ---------: | ---------- | ------: |"
        " --------------: | -------------------: |",
        *(
            f"| {test['model_type']} | 572.20 MiB | 1.00 B | CPU | {test['n_threads']} |"
            f" {_sizes(test)} | {float(str(test['avg_ts'])):.2f} {sign} 5.00 |"
            for test in tests
        ),
        "",
        f"build: {tests[0]['build_commit']} ({tests[0]['build_number']})",
    ]
    return "\n".join(lines) + "\n"


FORMS: Mapping[str, Callable[..., str]] = {
    "json": as_json,
    "jsonl": as_lines,
    "sql": as_sql,
    "csv": as_csv,
    "md": as_markdown,
}
"""The forms that llama-bench writes, by its names for them."""


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _affinity(value: object) -> str:
    return "TEXT" if isinstance(value, str) else "REAL" if isinstance(value, float) else "INTEGER"


def _sizes(test: Mapping[str, object]) -> str:
    parts = [f"pp{test['n_prompt']}"] * bool(test["n_prompt"]) + [f"tg{test['n_gen']}"] * bool(
        test["n_gen"]
    )
    depth = f" @ d{test['n_depth']}" if test["n_depth"] else ""
    return "+".join(parts) + depth
