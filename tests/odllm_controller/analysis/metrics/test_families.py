import pytest

from odllm_agent.contract import Quantization
from odllm_controller.analysis.metrics.families import Family, family, is_quantized


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("Q2_K", Family.K_QUANTS),
        ("Q3_K_L", Family.K_QUANTS),
        ("q4_k_m", Family.K_QUANTS),
        ("Q6_K", Family.K_QUANTS),
        ("Q4_0", Family.LEGACY),
        ("Q5_1", Family.LEGACY),
        ("Q8_0", Family.LEGACY),
        ("IQ4_XS", Family.IQ),
        ("IQ2_XXS", Family.IQ),
        ("F16", Family.UNQUANTIZED),
        ("BF16", Family.UNQUANTIZED),
        ("F32", Family.UNQUANTIZED),
        ("TQ1_0", Family.OTHER),
        ("MXFP4", Family.OTHER),
        ("Q4_0_but_mine", Family.OTHER),
        ("", Family.OTHER),
    ],
)
def test_types_have_a_family_by_their_name(name: str, of: Family) -> None:
    assert family(name) is of


def test_every_type_that_is_made_here_has_a_family_and_one_is_unquantized() -> None:
    assert Family.OTHER not in {family(each) for each in Quantization}
    assert [each for each in Quantization if not is_quantized(each)] == [Quantization.F16]
