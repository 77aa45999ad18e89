"""What is said to a word that is no option and no override, by the whole command line."""

import pytest

from odllm_controller.cli.main import main

S = "+experiment=smoke"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["advize"], "did you mean advise?"),
        (["rnu", S], "did you mean run?"),
        (["clams", "--json"], "did you mean claims?"),
        (["doctor"], "did you mean odllm-agent doctor?"),
        (["predict", "--help"], "there is no command 'predict'"),
        (["run", "--experiment", "smoke"], "did you mean +experiment=smoke?"),
        (["run", "--experiment=smoke"], "did you mean +experiment=smoke?"),
        (["--experiment", "smok"], "did you mean +experiment=smoke?"),
        (["run", "-experiment=sweep"], "did you mean +experiment=sweep?"),
        (["plan", "--experiment", "smoke", "--json"], "did you mean +experiment=smoke?"),
        (["fleet", "models", "push", "--experiment=smoke"], "did you mean +experiment=smoke?"),
        (["run", "experiment=smoke"], "write +experiment=smoke"),
        (["run", "smoke"], "did you mean +experiment=smoke?"),
        (["run", "smok"], "did you mean +experiment=smoke?"),
        (["run", "+experiment"], "write +experiment="),
        (["run", S, "seed"], "write seed=VALUE"),
        (["run", S, "--seed", "3"], "did you mean seed=3?"),
        (["run", S, "--store", "x.duckdb"], "did you mean store.path=x.duckdb?"),
        (["run", S, "--fleet", "rya"], "did you mean fleet=ray?"),
        (["run", S, "--threads=2"], "engines.llama_cpp.threads=2"),
        (["run", S, "--mutlirun"], "did you mean --multirun?"),
        (["run", S, "--verbos"], "did you mean --verbose?"),
        (["plan", S, "--jsn"], "did you mean --json?"),
        (["run", "--conf"], "--config-dir"),
        (["run", "+experiment=smok"], "did you mean smoke?"),
        (["run", S, "fleet=locl"], "did you mean local?"),
        (["run", S, "model=[reference-16M]"], "did you mean reference-1.6M"),
        (["run", S, "engin=openvino"], "did you mean engine=openvino?"),
        (["run", S, "quantization=[Q8_0]"], "did you mean 'quantizations=[Q8_0]'?"),
        (["run", S, "engines.llama_cpp.thread=4"], "did you mean engines.llama_cpp.threads=4?"),
        (["run", S, "engine.llama_cpp.threads=4"], "did you mean engines.llama_cpp.threads=4?"),
        (["run", S, "path=x.duckdb"], "store.path=x.duckdb"),
        (["run", S, "engines.openvino.threads=4"], "add engine=[openvino]"),
        (["run", S, "quantizations=[Q8_1]"], "did you mean Q8_0 or Q5_1 or Q4_1?"),
        (["run", S, "+seed=3"], "write seed=3"),
        (["run", S, "seed=1,2"], "add --multirun"),
        (["run", S, "seed==3"], "seed==3 cannot be read"),
        (["run", S, "=3"], "write an override as NAME=VALUE"),
        (["run", S, "--run", "-m"], "not allowed with"),
        (["claims", "--jsn"], "did you mean --json?"),
        (["fleet", "staus"], "did you mean status?"),
        (["fleet", "models", "pusch"], "did you mean push?"),
    ],
)
def test_a_wrong_word_is_answered_in_few_lines_with_what_was_meant(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(words)
    except SystemExit as end:
        status = end.code  # type: ignore[assignment]
    answered = capsys.readouterr()
    assert status == 2, answered.err
    assert not answered.out
    assert told in answered.err
    assert len(answered.err.splitlines()) <= 2, answered.err
