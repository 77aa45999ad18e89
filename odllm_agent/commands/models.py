"""`odllm-agent models`: what is in this device's model cache, and what shall be."""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tqdm import tqdm

from odllm_agent.cache.layout import CacheEntry, Note
from odllm_agent.commands import DONE, FAULT
from odllm_agent.commands.bars import Bars
from odllm_agent.contract import ModelRequest, Quantization, Source, to_json
from odllm_agent.errors import UsageError
from odllm_agent.files.size import bytes_text
from odllm_agent.files.typed_path import typed_path
from odllm_agent.models import Cache, local_file, prepare, read_header
from odllm_agent.models.inventory import known_names, short, told, type_of

_EXAMPLES = """\
examples:
  odllm-agent models list                           what is in the cache, and how much room it takes
  odllm-agent models pull reference-1.6M --quantization Q4_0
  odllm-agent models pull file:/models/mine-F16.gguf --quantization Q8_0
  odllm-agent models pull hub:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-fp16.gguf@main
                                                    tells the commit to name in place of main
  odllm-agent models add /models/mine-F16.gguf      copies it, so that this machine can serve it
  odllm-agent models verify --fix                   reads all of it again, removes what is damaged
  odllm-agent models remove 3f29ac --yes            by the start of a checksum
  odllm-agent models remove --all

The cache lies in ODLLM_CACHE_DIR. ODLLM_CACHE_MAX_BYTES, such as 50GB, limits what it takes: the
least recently used models make room. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE work as they do for
the hub's own client. ODLLM_MODEL_SERVER and ODLLM_FLEET_TOKEN_FILE name a fleet's model server and
its token, which `odllm-agent join` sets; that server is asked before the hub.
"""
_SHOWN_DIGITS = 12
_NO_MEMORY_LIMIT = sys.maxsize


def add_to(commands: Any) -> None:
    """Adds the command to those of the agent.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` gave.
    """
    parser = commands.add_parser(
        "models",
        help="list, fetch, check and remove the models in this device's cache",
        description="The models in this device's cache.",
        epilog=_EXAMPLES,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, help_text, add_arguments, action in (
        ("list", "tell what is in the cache", _add_json, _list),
        ("pull", "get a model into the cache", _add_pull, _pull),
        (
            "add",
            "copy a file into the cache, to be served to a fleet",
            _add_add,
            _add,
        ),
        ("verify", "read every model again and compare its checksum", _add_verify, _verify),
        ("remove", "take models away", _add_remove, _remove),
    ):
        added = actions.add_parser(
            name,
            help=help_text,
            epilog=_EXAMPLES,
        )
        add_arguments(added)
        added.set_defaults(command=action)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="answer as JSON")


def _add_pull(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", help="hub:OWNER/REPOSITORY/FILE@REVISION, file:PATH, or a reference model's name"
    )
    types = ", ".join(Quantization)
    parser.add_argument("--quantization", metavar="TYPE", help=f"make this type of it: {types}")
    parser.add_argument("--sha256", help="the checksum that the source must have")
    _add_json(parser)


def _add_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=typed_path, help="a GGUF file, or the first part of a split one"
    )
    _add_json(parser)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fix", action="store_true", help="remove what is damaged")
    _add_json(parser)


def _add_remove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sha256", nargs="*", help="the start of a checksum")
    parser.add_argument("--all", action="store_true", help="everything, unfinished files too")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    _add_json(parser)


def _list(options: argparse.Namespace) -> int:
    cache = Cache.of_this_device()
    entries = cache.entries()
    notes = cache.made_from()
    rows = [_row(entry, notes.get(entry.key, ())) for entry in reversed(entries)]
    total_bytes = sum(entry.file_bytes for entry in entries)
    if options.json:
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


def _pull(options: argparse.Namespace) -> int:
    request = _request(options.model, options.quantization, options.sha256)
    with Bars() as bars:
        made = prepare(request, Cache.of_this_device(bars.update), _NO_MEMORY_LIMIT)
    if options.json:
        print(to_json(made))
        return DONE
    print(
        f"{made.name}: {made.quantization}, {bytes_text(made.file_bytes)}, {made.file_bpw:.2f} BPW"
    )
    print(f"sha256 {made.sha256}")
    print(made.path)
    return DONE


def _add(options: argparse.Namespace) -> int:
    header = read_header(options.file.absolute())
    with Bars() as bars:
        added = local_file.add(header.parts, Cache.of_this_device(bars.update))
    if options.json:
        return _tell_json({"sha256": added.sha256, "path": str(added.path)})
    print(f"sha256 {added.sha256}")
    print(added.path)
    return DONE


def _verify(options: argparse.Namespace) -> int:
    cache = Cache.of_this_device()
    models = [entry for entry in cache.entries() if entry.finished]
    looked_at = tqdm(models, disable=None, unit="model", leave=False)
    damaged = [entry for entry in looked_at if not cache.shelf.is_right(entry.key, anew=True)]
    removed = [entry for entry in damaged if options.fix and cache.remove(entry)]
    if options.json:
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


def _remove(options: argparse.Namespace) -> int:
    cache = Cache.of_this_device()
    chosen = _chosen(cache.entries(), options)
    if not (options.yes or _agreed(chosen)):
        return DONE
    removed = [entry for entry in chosen if cache.remove(entry)]
    if options.json:
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
        return Quantization(name) if name else None
    except ValueError as error:
        raise UsageError(
            f"there is no type {name!r}", f"known types: {', '.join(Quantization)}"
        ) from error


def _chosen(entries: Sequence[CacheEntry], options: argparse.Namespace) -> list[CacheEntry]:
    """The entries that are to be removed."""
    if options.all == bool(options.sha256):
        raise UsageError("what to remove is not clear", "give checksums, or --all")
    if options.all:
        return list(entries)
    return [_only(entries, start.lower()) for start in options.sha256]


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


def _row(entry: CacheEntry, notes: Sequence[Note]) -> dict[str, Any]:
    return {
        "sha256": entry.key,
        "quantization": type_of(entry),
        "file_bytes": entry.file_bytes,
        "used_at": entry.used_at.isoformat(timespec="seconds"),
        "made_from": list(notes),
        "paths": [str(path) for path in entry.paths],
    }


def _print_table(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> None:
    print(f"{'sha256':{_SHOWN_DIGITS}}  {'type':10}  {'size':>10}  {'last used':25}  from")
    for row in rows:
        print(
            f"{short(row['sha256']):{_SHOWN_DIGITS}}  {row['quantization']:10}  "
            f"{bytes_text(row['file_bytes']):>10}  {row['used_at']:25}  "
            f"{told(row['made_from'], names)}"
        )


def _tell_json(answer: object) -> int:
    print(json.dumps(answer, indent=1))
    return DONE
