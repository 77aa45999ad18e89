import dataclasses
from pathlib import Path

import pytest

from benchmarks.llama_perplexity import Text, arguments, parse_figures, parse_s
from odllm_agent.engines.settings import LlamaCppSettings
from odllm_agent.errors import EngineError

# Captured from the tool of llama-cpp-python 0.3.36.
LOG = """
0.00.024.087 I perplexity: tokenizing the input ..
0.00.040.077 I perplexity: tokenization took 15.975 ms
0.00.149.453 I perplexity: 0.11 seconds per pass - ETA 1.02.264.840 I Final estimate: PPL = 1.8488
"""
FIGURES = """
Mean PPL(Q)                   :   1.688491 ±   0.015075
Mean PPL(base)                :   1.687662 ±   0.015048
Mean    KLD:   0.000689 ±   0.000030
Maximum KLD:   0.182040
Mean    Δp: -0.010 ± 0.009 %
RMS Δp    :  1.019 ± 0.050 %
Same top p: 96.828 ± 0.151 %
"""


def test_the_time_is_read_from_the_logs_own_stamps() -> None:
    assert parse_s(LOG) == pytest.approx(62.264840 - 0.024087)


def test_figures_become_shares_and_nats() -> None:
    assert parse_figures(FIGURES) == {
        "perplexity": pytest.approx(1.688491),
        "kld": pytest.approx(0.000689),
        "top1_agreement": pytest.approx(0.96828),
        "delta_p_rms": pytest.approx(0.01019),
    }


def test_other_words_are_an_error_and_no_figure() -> None:
    for parse in (parse_s, parse_figures):
        with pytest.raises(EngineError, match="not understood"):
            parse("error: unknown argument")


def test_it_is_told_the_settings_and_how_much_to_read() -> None:
    settings = dataclasses.replace(LlamaCppSettings(threads=3), flash_attention="on")
    told = arguments(settings, Path("m.gguf"), Text(Path("t.txt"), 256, None))
    options = dict(zip(told[::2], told[1::2], strict=True))
    assert options["--threads"] == "3"
    assert options["--flash-attn"] == "on"
    assert (options["--ctx-size"], options["--chunks"]) == ("256", "-1")
    assert arguments(settings, Path("m"), Text(Path("t"), 256, 16))[7] == "16"
