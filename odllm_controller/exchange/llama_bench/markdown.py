"""llama-bench's Markdown: tables of averages, each with the build that made it behind it.

A table tells what llama-bench was given and leaves out the rest: the file, the processor, the time.
Sizes and numbers of weights are rounded, so that they stay texts and nothing is worked out of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from odllm_agent.offline.logbook import Damage
from odllm_controller.exchange.llama_bench.fields import typed
from odllm_controller.exchange.llama_bench.record import model_of

BUILD = re.compile(r"build: (?P<commit>\S+) \((?P<number>\d{1,9})\)(?: with .*)?\s*")
"""The line behind a table."""

_NEEDED = frozenset({"model", "test", "t/s"})
_RULE = re.compile(r":?-+:?")
_TEST = re.compile(
    r"(?:pp ?(?P<prompt>\d{1,9}))?\+?(?:tg ?(?P<gen>\d{1,9}))?(?: @ d ?(?P<depth>\d{1,9}))?"
)
# What stands between mean and deviation is a plus-minus sign, if it survived a console.
_SPEED = re.compile(r"(?P<mean>\d+(?:\.\d+)?)(?:\s+[^\d\s]{1,4}\s+(?P<deviation>\d+(?:\.\d+)?))?")
_FIELDS: Mapping[str, str] = {
    "model": "model_type",
    "backend": "backends",
    "ngl": "n_gpu_layers",
    "threads": "n_threads",
    "sm": "split_mode",
    "nkvo": "no_kv_offload",
    "fa": "flash_attn",
    "lm": "load_mode",
    "mmap": "use_mmap",
    "mmq": "mul_mat_q",
    "dio": "use_direct_io",
    "embd": "embeddings",
    "nopo": "no_op_offload",
    "noh": "no_host",
    "rpk": "repack",
    "dev": "devices",
    "ts": "tensor_split",
    "ot": "tensor_buft_overrides",
    "fitt": "fit_target",
    "fitc": "fit_min_ctx",
}
_NO_TABLE = "it belongs to no table of llama-bench's: a heading with model, test and t/s is missing"


@dataclass(slots=True)
class MarkdownTables:
    """The tables of a text, line by line."""

    _names: tuple[str, ...] = ()
    _waiting: list[tuple[int, dict[str, object]]] = field(default_factory=list)

    def take(self, number: int, line: str) -> list[tuple[int, object]]:
        """Takes a line that begins with `|`, and gives what is complete with it."""
        cells = tuple(cell.strip() for cell in line.strip()[1:-1].split("|"))
        if _NEEDED.issubset(cells) and len(set(cells)) == len(cells):
            done = self.end()
            self._names = cells
            return list(done)
        if self._names and all(map(_RULE.fullmatch, cells)):
            return []
        try:
            self._waiting.append((number, self._row(line, cells)))
        except ValueError as error:
            return [(number, Damage(str(error)))]
        return []

    def build(self, found: re.Match[str]) -> list[tuple[int, object]]:
        """Takes the line with the build of the table before it, and gives its rows."""
        told = {"build_commit": found["commit"], "build_number": int(found["number"])}
        return [(number, row | told) for number, row in self.end()]

    def end(self) -> list[tuple[int, dict[str, object]]]:
        """Gives the rows whose build was not told."""
        done, self._waiting, self._names = self._waiting, [], ()
        return done

    def _row(self, line: str, cells: tuple[str, ...]) -> dict[str, object]:
        if not self._names:
            raise ValueError(_NO_TABLE)
        if not line.rstrip().endswith("|") or len(cells) != len(self._names):
            told = f"it has {len(cells)} cells, and the heading has {len(self._names)}"
            raise ValueError(f"{told}, or it was cut off")
        row = zip(self._names, cells, strict=True)
        named = {_FIELDS.get(name, name): cell for name, cell in row if cell}
        test, speed = named.pop("test", ""), named.pop("t/s", "")
        model = {"model_filename": model_of(named.get("model_type", ""))[0]}
        return model | typed(named) | _sizes(test) | _speed(speed)


def _sizes(test: str) -> dict[str, object]:
    found = _TEST.fullmatch(test)
    if not found or not test:
        raise ValueError(f"test: {test!r:.40} is none such as pp512 or tg128 @ d4096")
    names = {"n_prompt": "prompt", "n_gen": "gen", "n_depth": "depth"}
    return {name: int(found[group] or 0) for name, group in names.items()}


def _speed(speed: str) -> dict[str, object]:
    found = _SPEED.fullmatch(speed)
    if not found:
        raise ValueError(f"t/s: {speed!r:.40} is no speed")
    deviation = float(found["deviation"]) if found["deviation"] else None
    return {"avg_ts": float(found["mean"]), "stddev_ts": deviation}
