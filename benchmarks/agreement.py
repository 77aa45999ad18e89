"""`python -m benchmarks.agreement`: how far apart two engines' answers on the same files lie."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from rich.console import Console

from odllm_agent import engines
from odllm_agent.contract import Engine, ModelRequest, Reading, Source
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import OdllmError
from odllm_agent.host import state
from odllm_agent.models import Cache, prepare
from odllm_agent.quality.divergence import SCORES, Divergence
from odllm_agent.quality.perplexity import perplexity
from odllm_agent.quality.reading import read, windows
from odllm_agent.texts.text import read_text, text_sha256

# Nothing is rounded that need not be; both engines still quantize activations to 8 bits.
_EXACT = {
    "llama_cpp": {"flash_attention": "off", "kv_type_k": "f32", "kv_type_v": "f32"},
    "openvino": {"inference_precision": "f32", "kv_cache_precision": "f32"},
}
_EXAMPLE = """\
example:
  python -m benchmarks.agreement wikitext-2 model-Q4_0.gguf model-Q4_1.gguf
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads a text with both engines and prints what they make of it.

    Returns:
        The exit status: 0, or 1 if a file cannot be read by both.
    """
    options = _parser().parse_args(arguments)
    progress = Console(stderr=True, highlight=False)
    try:
        for line in _lines(options):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    except OdllmError as error:
        progress.print(f"agreement: {error}", markup=False)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.agreement",
        description="Tells how far OpenVINO's answers lie from llama.cpp's on the same files.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("text", help="reference, wikitext-2, or the path of a text file")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a GGUF file")
    parser.add_argument("--windows", type=int, default=40, help="windows of the text (40)")
    parser.add_argument("--tokens", type=int, default=512, help="tokens of a window (512)")
    parser.add_argument("--threads", type=int, default=2, help="threads of both sides (2)")
    return parser


def _lines(options: argparse.Namespace) -> Iterator[str]:
    yield "| file | perplexity, llama.cpp | OpenVINO | apart, % | KL divergence, nats | same top |"
    yield "| --- | --- | --- | --- | --- | --- |"
    reading = Reading(
        options.text, text_sha256(options.text), options.tokens, options.windows, ("kld",)
    )
    for name in options.files:
        yield _line(Path(name).stem, compared(name, reading, options.threads))


def _line(name: str, found: Divergence) -> str:
    theirs, ours = (perplexity(each).value for each in (found.base_surprise, found.surprise))
    # By the delta method; both read the same tokens.
    ratio = perplexity(found.surprise - found.base_surprise)
    apart, error = 100 * ((ratio.value or 1) - 1), 100 * (ratio.standard_error or 0)
    kld, top = (SCORES[score](found) for score in ("kld", "top1_agreement"))
    return (
        f"| {name} | {theirs:.3f} | {ours:.3f} | {apart:+.2f} ± {error:.2f} | "
        f"{kld.value:.2e} ± {kld.standard_error:.0e} | {top.value:.2%} |"
    )


def compared(name: str, reading: Reading, threads: int) -> Divergence:
    """A text by both engines, window by window; llama.cpp is the base.

    Args:
        name: The path of a GGUF file.
        reading: The text and its windows.
        threads: The threads of both.

    Raises:
        OdllmError: One of the engines cannot read the file.
    """
    request = ModelRequest(Path(name).stem, Source.FILE, name)
    model = prepare(request, Cache.of_this_device(), state.available_bytes())
    with (
        engines.load(_engine("llama_cpp", threads), model, reading.window_tokens) as base,
        engines.load(_engine("openvino", threads), model, reading.window_tokens) as session,
    ):
        tokens = session.tokenize(read_text(reading.text))
        parts = windows(tokens, reading, session.start_token)
        return cast(Divergence, read(session, parts, base))


def _engine(name: str, threads: int) -> Engine:
    settings = check_settings(name, {"threads": threads, **_EXACT[name]})
    return Engine(name, engines.versions()[name], settings)


if __name__ == "__main__":
    sys.exit(main())
