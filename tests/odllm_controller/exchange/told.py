"""What llama-bench told, captured and by hand."""

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
