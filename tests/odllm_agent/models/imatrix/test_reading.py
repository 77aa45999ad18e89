import struct
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odllm_agent.errors import ModelInvalid, ModelMissing
from odllm_agent.models.imatrix.matrix import Matrix
from odllm_agent.models.imatrix.reading import read_matrix, write_matrix

VALUES = {
    "blk.0.attn_q.weight": np.array([1.5, 0.25, 4.0], np.float32),
    "blk.1.ffn_down_exps.weight": np.arange(1, 7, dtype=np.float32),
}


def dat(values: dict[str, np.ndarray], n_calls: int = 4, end: bytes = b"") -> bytes:
    """The older form: sums over calls, each the mean times their number."""
    content = struct.pack("<i", len(values))
    for name, means in values.items():
        raw = name.encode()
        content += struct.pack(f"<i{len(raw)}sii", len(raw), raw, n_calls, means.size)
        content += (means * n_calls).astype("<f4").tobytes()
    return content + end


def assert_equal(found: Matrix) -> None:
    assert found.values.keys() == VALUES.keys()
    for name, values in VALUES.items():
        np.testing.assert_allclose(found.values[name], values, rtol=1e-6)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "matrix.gguf"
    write_matrix(path, Matrix(VALUES, ("wiki",), n_windows=7), window_tokens=512)
    found = read_matrix(path)
    assert_equal(found)
    assert (found.datasets, found.n_windows) == (("wiki",), 7)
    assert found.sha256 == Matrix(VALUES).sha256


def test_the_older_form_is_read(tmp_path: Path) -> None:
    path = tmp_path / "matrix.dat"
    path.write_bytes(dat(VALUES, end=struct.pack("<ii4s", 7, 4, b"wiki")))
    found = read_matrix(path)
    assert_equal(found)
    assert (found.datasets, found.n_windows) == (("wiki",), 7)


def test_the_older_form_may_end_with_its_values(tmp_path: Path) -> None:
    path = tmp_path / "matrix.dat"
    path.write_bytes(dat(VALUES))
    assert_equal(read_matrix(path))


def test_sums_are_divided_by_their_counts_and_experts_that_met_nothing_count_alike(
    tmp_path: Path,
) -> None:
    path = tmp_path / "experts.gguf"
    writer = GGUFWriter(path, "")
    sums = np.array([[2, 4], [0, 0], [9, 3]], np.float32)
    writer.add_tensor("blk.0.ffn_up_exps.weight.in_sum2", sums)
    writer.add_tensor("blk.0.ffn_up_exps.weight.counts", np.array([[2], [0], [3]], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (values,) = read_matrix(path).values.values()
    assert list(values) == [1, 2, 1, 1, 3, 1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "requires a buffer|cut off"),
        (struct.pack("<i", 0), "speaks of no tensor"),
        (dat(VALUES)[:-3], "cut off"),
        (b"just a text, not a matrix", "another format"),
        (dat({"a": np.array([np.inf], np.float32)}), "no numbers"),
        (b"GGUF" + bytes(40), "no usable importance matrix"),
    ],
)
def test_what_is_no_matrix_is_told(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "none.dat"
    path.write_bytes(content)
    with pytest.raises(ModelInvalid, match=reason) as caught:
        read_matrix(path)
    assert "llama-imatrix" in caught.value.remedy


def test_a_model_is_no_matrix(tiny: Path) -> None:
    with pytest.raises(ModelInvalid, match="speaks of no tensor"):
        read_matrix(tiny)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="there is no importance matrix"):
        read_matrix(tmp_path / "nowhere")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), newer=st.booleans())
def test_damaged_files_are_refused_and_never_crash(
    tmp_path: Path, data: st.DataObject, newer: bool
) -> None:
    path = tmp_path / "damaged"
    if newer:
        write_matrix(path, Matrix(VALUES, ("wiki",), 7), 512)
    else:
        path.write_bytes(dat(VALUES))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        found = read_matrix(path)
    except ModelInvalid:
        return
    assert all(np.isfinite(values).all() for values in found.values.values())
