"""`odllm-agent serve`: gives the models in this device's cache to the other devices of a fleet."""

import argparse
import importlib
import json
import logging
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

from odllm_agent.cache import Cache
from odllm_agent.commands import DONE
from odllm_agent.errors import UsageError
from odllm_agent.files.typed_path import typed_path
from odllm_agent.network.fleet_key import ADDRESS_VARIABLE, TOKEN_VARIABLE, read_key

_LOOPBACK = "127.0.0.1"
_PORT = 7867
_EXAMPLES = f"""\
examples:
  odllm-agent serve --token-file ~/fleet/token
  odllm-agent serve --token-file ~/fleet/token --address 192.168.1.5
  odllm-agent serve --token-file ~/fleet/token --address 192.168.1.5 --tls-dir ~/fleet/tls

`odllm fleet up` starts it beside the head of the fleet. Agents ask the address in
{ADDRESS_VARIABLE} with a key that follows from the token in the file that {TOKEN_VARIABLE} names;
`odllm-agent join` sets both. The server needs starlette and uvicorn: pip install "odllm[serve]".
"""


def add_to(commands: Any) -> None:
    """Adds the command to those of the agent.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` gave.
    """
    parser = commands.add_parser(
        "serve",
        help="give the models in this device's cache to the other devices of a fleet",
        description="Serves this device's model cache over HTTP, read-only, to whoever has the "
        "fleet's token. A model of a hub that is not in the cache is fetched once, however many "
        "ask for it.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "--token-file", type=typed_path, required=True, help="holds the fleet's token"
    )
    parser.add_argument(
        "--address", default=_LOOPBACK, help=f"of this device; unless told, {_LOOPBACK}"
    )
    parser.add_argument(
        "--port", type=int, default=_PORT, help=f"unless told, {_PORT}; 0 is any that is free"
    )
    parser.add_argument(
        "--tls-dir", type=typed_path, help="holds node.pem and node.key; HTTP unless told"
    )
    parser.add_argument("--json", action="store_true", help="tell the address as JSON")
    parser.set_defaults(command=_serve)


def _serve(options: argparse.Namespace) -> int:
    key = _key(options.token_file)
    # A limit that is no size should be told before anything is served.
    root = Cache.of_this_device().root
    serving = _imported("server")
    place = serving.listen(options.address, options.port, tls=bool(options.tls_dir))
    with (
        closing(place.listening),
        closing(_imported("library").Library()) as library,
        closing(_imported("starts").Starts()) as starts,
    ):
        application = _imported("application").application(library, starts, key)
        server = serving.server(application, options.tls_dir)
        _log_to_stderr()
        _tell(place.url, root, as_json=options.json)
        server.run(sockets=[place.listening])
    return DONE


def _log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    # It would tell of every request that is made of the hub.
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def _tell(url: str, root: Path, *, as_json: bool) -> None:
    told = {"address": url, "root": str(root)}
    print(json.dumps(told) if as_json else f"serving {root} at {url}", flush=True)


def _key(token_file: Path) -> str:
    try:
        return read_key(token_file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"{token_file} holds no token: {reason}", "name the file that `odllm fleet up` made"
        ) from error


def _imported(name: str) -> ModuleType:
    """A module of the server, whose libraries a laptop that serves nothing does without."""
    try:
        return importlib.import_module(f"odllm_agent.model_server.{name}")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the model server needs {error.name}", 'pip install "odllm[serve]"'
        ) from error
