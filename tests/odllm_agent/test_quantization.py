import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import ModelRequest, Quantization, Source, from_json, to_json

TYPES = st.sampled_from(["F16", "Q8_0", "Q4_K_M", "IQ2_XXS", "TQ1_0", "MXFP4_MOE"])
PATTERNS = st.from_regex(r"\A[a-z_.0-9\\|]{1,20}\Z")
PARTS = st.one_of(
    st.just("imatrix"),
    st.just("pure"),
    st.tuples(st.one_of(st.just("output"), st.just("token_embd"), PATTERNS), TYPES).map(":".join),
)


def unlike(parts: list[str]) -> list[str]:
    return list({part.partition(":")[0]: part for part in parts}.values())


@given(TYPES, st.lists(PARTS, max_size=4).map(unlike))
def test_a_name_is_all_of_a_quantization(kind: str, parts: list[str]) -> None:
    made = Quantization("+".join([kind, *parts]))
    assert made.type == kind
    assert made.imatrix == ("imatrix" in parts)
    assert made.pure == ("pure" in parts)
    overrides = dict(part.split(":") for part in parts if ":" in part)
    assert made.output == overrides.get("output")
    assert made.embeddings == overrides.get("token_embd")
    others = [each for each in overrides.items() if each[0] not in {"output", "token_embd"}]
    assert list(made.tensors) == others
    again = Quantization(made)
    assert (again, again.tensors) == (made, made.tensors)
    assert pickle.loads(pickle.dumps(made)).types == made.types


def test_names_that_mean_the_same_are_the_same() -> None:
    assert Quantization("q4_k_m") == "Q4_K_M"
    assert Quantization("Q2_K+pure+imatrix") == Quantization("q2_k+imatrix+pure")
    assert Quantization("Q4_0+output:q8_0") == "Q4_0+output:Q8_0"


@pytest.mark.parametrize(
    "text",
    ["", "+", "Q4_0+", "+imatrix", "Q4 0", "Q4_0+pure+pure", "Q4_0+output", "Q4_0+output:",
     "Q4_0+output:Q8_0+output:Q6_K", "Q4_0+a:b:c", "Q4_0,Q8_0", "Q4_0\n"],
)  # fmt: skip
def test_what_is_no_quantization_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write TYPE, such as Q4_K_M"):
        Quantization(text)


def test_it_crosses_the_wire_as_its_name() -> None:
    request = ModelRequest("m", Source.FILE, "/m.gguf", Quantization("iq2_xs+imatrix"))
    assert '"quantization":"IQ2_XS+imatrix"' in to_json(request)
    again = from_json(ModelRequest, to_json(request))
    assert again == request
    assert again.quantization is not None
    assert again.quantization.imatrix
