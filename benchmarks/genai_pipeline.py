"""openvino-genai's own pipeline and its own metrics, in a process of its own.

It runs the very model that ODLLM runs, told the same properties, with token ids as its prompt, and
in the same form. The scheduling of the paged form is its own default: no limit to the tokens of a
run, so that a prompt is computed at once, and a cache that grows during warm-up.
"""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.peer import OUTPUT_TOKENS, PROMPT_TOKENS, Speed
from odllm_agent.contract import ModelRequest, Repeat, Source, Trial, from_json, to_json
from odllm_agent.errors import EngineError

_MS = 1e-3
# Told by name, since otherwise the pipeline falls back to the second if the first fails.
_BACKENDS = {"paged": "PA", "stateful": "SDPA"}


@dataclass(frozen=True, slots=True)
class GenaiPipeline:
    """openvino-genai as ODLLM's peer.

    Attributes:
        name: What to call it.
    """

    name: str = "openvino-genai"

    def prefill_s(self, repeat: Repeat) -> float:
        """Its time to the first token has the choice of that token in it, so ours has too."""
        return repeat.ttft_s

    def speed(self, trial: Trial, repeats: int) -> Speed:
        """Medians over so many repeats after one warm-up.

        Raises:
            EngineError: The pipeline fails.
        """
        command = [sys.executable, "-m", "benchmarks.genai_pipeline", str(repeats)]
        done = subprocess.run(  # noqa: S603 - our own module, no shell
            command, input=to_json(trial), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise EngineError(
                f"openvino-genai's pipeline failed: {done.stderr.strip()[-500:]}",
                'pip install "odllm[openvino]"',
            )
        return parse(done.stdout)


def parse(text: str) -> Speed:
    """The medians of what the process printed: per repeat the ms to the first token and per token.

    Raises:
        EngineError: It printed something else.
    """
    try:
        measured = [(float(first_ms), float(token_ms)) for first_ms, token_ms in json.loads(text)]
        return Speed(
            statistics.median(PROMPT_TOKENS / (first_ms * _MS) for first_ms, _ in measured),
            statistics.median(1 / (token_ms * _MS) for _, token_ms in measured),
        )
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise EngineError(
            f"these are no metrics of openvino-genai ({error!r}): {text[:200]}",
            "install the pinned openvino-genai",
        ) from error


def main() -> None:
    """The process: reads a trial, runs its prompt, prints what the pipeline says of itself."""
    # Only this process needs them.
    import numpy as np  # noqa: PLC0415
    import openvino  # noqa: PLC0415
    import openvino_genai  # noqa: PLC0415

    from odllm_agent.engines.openvino.gguf_to_ir import converted  # noqa: PLC0415
    from odllm_agent.engines.openvino.model import properties  # noqa: PLC0415
    from odllm_agent.engines.settings import OpenVinoSettings  # noqa: PLC0415
    from odllm_agent.host.state import available_bytes  # noqa: PLC0415
    from odllm_agent.models import Cache, ladder, prepare  # noqa: PLC0415

    trial = from_json(Trial, sys.stdin.read())
    settings = OpenVinoSettings(**trial.engine.settings)  # type: ignore[arg-type]
    backend = _BACKENDS[settings.attention]
    told = dict(properties(settings).values()) | {"ATTENTION_BACKEND": backend}
    version = trial.engine.version
    # Ids go in and ids come out, so any tokenizer does; that of a random model may not compile.
    smallest, *_ = ladder.origins()
    request = ModelRequest(smallest, Source.REFERENCE, smallest)
    reference = prepare(request, Cache.of_this_device(), available_bytes())
    tokenizer = openvino_genai.Tokenizer(str(converted(reference, version)))
    folder = converted(trial.model, version)
    pipeline = openvino_genai.LLMPipeline(str(folder), tokenizer, settings.device, **told)
    wanted = openvino_genai.GenerationConfig()
    # The first comes with the prompt; the others are decoded one after another.
    wanted.max_new_tokens = 1 + OUTPUT_TOKENS
    wanted.ignore_eos = True
    wanted.do_sample = False
    chance = np.random.default_rng(0)
    measured = []
    for _ in range(1 + int(sys.argv[1])):
        # Another prompt each time: one that is known already would not be computed again.
        prompt = openvino.Tensor(chance.integers(0, 1000, (1, PROMPT_TOKENS)))
        metrics = pipeline.generate(prompt, wanted).perf_metrics
        measured.append((metrics.get_ttft().mean, metrics.get_tpot().mean))
    sys.stdout.write(json.dumps(measured[1:]) + "\n")


if __name__ == "__main__":
    main()
