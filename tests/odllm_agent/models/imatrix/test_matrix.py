from pathlib import Path

import numpy as np
import pytest

from odllm_agent.errors import UsageError
from odllm_agent.formats.header import read_header
from odllm_agent.models.imatrix.matrix import Matrix, refuse_other_model


def values(size: int) -> np.ndarray:
    return np.ones(size, np.float32)


def test_a_matrix_of_the_model_is_taken(tiny: Path) -> None:
    header = read_header(tiny)
    fitting = {
        tensor.name: values(tensor.shape[0]) for tensor in header.tensors if len(tensor.shape) > 1
    }
    refuse_other_model(Matrix(fitting), "matrix.dat", header)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"blk.0.ffn_up.weight": 3}, r"blk\.0\.ffn_up\.weight \(3 values instead of 256\)"),
        ({"blk.99.ffn_up.weight": 256}, r"such as blk\.99\.ffn_up\.weight"),
    ],
)
def test_a_matrix_of_another_model_is_refused_by_name(
    tiny: Path, wrong: dict[str, int], told: str
) -> None:
    matrix = Matrix({name: values(size) for name, size in wrong.items()})
    with pytest.raises(UsageError, match=told) as caught:
        refuse_other_model(matrix, "matrix.dat", read_header(tiny))
    assert "matrix.dat" in caught.value.message


def test_a_checksum_depends_on_values_and_names_and_not_on_their_order() -> None:
    one = Matrix({"a": values(2), "b": 2 * values(2)})
    assert one.sha256 == Matrix({"b": 2 * values(2), "a": values(2)}).sha256
    assert one.sha256 != Matrix({"a": values(2), "b": values(2)}).sha256
    assert one.sha256 != Matrix({"a": values(2), "c": 2 * values(2)}).sha256
