import pytest

from odllm_agent.contract import Quantization
from odllm_controller.analysis.matching.families import TypeFamily, family, is_quantized
from tests.models import LADDER


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("Q2_K", TypeFamily.K_QUANTS),
        ("Q3_K_L", TypeFamily.K_QUANTS),
        ("q4_k_m", TypeFamily.K_QUANTS),
        ("Q6_K", TypeFamily.K_QUANTS),
        ("Q4_0", TypeFamily.LEGACY),
        ("Q5_1", TypeFamily.LEGACY),
        ("Q8_0", TypeFamily.LEGACY),
        ("IQ4_XS", TypeFamily.IQ),
        ("IQ2_XXS", TypeFamily.IQ),
        ("F16", TypeFamily.UNQUANTIZED),
        ("BF16", TypeFamily.UNQUANTIZED),
        ("F32", TypeFamily.UNQUANTIZED),
        ("TQ1_0", TypeFamily.OTHER),
        ("MXFP4", TypeFamily.OTHER),
        ("Q4_0_but_mine", TypeFamily.OTHER),
        ("", TypeFamily.OTHER),
    ],
)
def test_types_have_a_family_by_their_name(name: str, of: TypeFamily) -> None:
    assert family(name) is of


def test_every_type_that_is_made_here_has_a_family_and_one_is_unquantized() -> None:
    assert TypeFamily.OTHER not in {family(each) for each in LADDER}
    assert [each for each in LADDER if not is_quantized(each)] == [Quantization("F16")]
