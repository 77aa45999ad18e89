"""`odllm-agent serve`: gives the models in this device's cache to the other devices of a fleet."""

import importlib
import json
import logging
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Annotated

from odllm_agent.cache import Cache
from odllm_agent.commands import DONE
from odllm_agent.errors import UsageError
from odllm_agent.network.fleet_key import ADDRESS_VARIABLE, TOKEN_VARIABLE, read_key
from odllm_agent.terminal.program import TYPED_PATH, AsJson, Whole, program

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


app = program("serve", examples=_EXAMPLES)


@app.default
def serve(
    *,
    token_file: Annotated[Path, TYPED_PATH],
    address: str = _LOOPBACK,
    port: Whole = _PORT,
    tls_dir: Annotated[Path | None, TYPED_PATH] = None,
    as_json: AsJson = False,
) -> int:
    """Give the models in this device's cache to the other devices of a fleet.

    They are served over HTTP, read-only, to whoever has the fleet's token. A model of a hub that
    is not in the cache is fetched once, however many ask for it.

    Args:
        token_file: holds the fleet's token
        address: of this device
        port: 0 is any that is free
        tls_dir: holds node.pem and node.key; HTTP if not given
        as_json: tell the address as JSON
    """
    key = _key(token_file)
    # A limit that is no size should be told before anything is served.
    root = Cache.of_this_device().root
    serving = _imported("server")
    place = serving.listen(address, port, tls=bool(tls_dir))
    with (
        closing(place.listening),
        closing(_imported("library").Library()) as library,
        closing(_imported("starts").Starts()) as starts,
    ):
        application = _imported("application").application(library, starts, key)
        server = serving.server(application, tls_dir)
        logging.basicConfig(
            stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
        )
        # It would tell of every request that is made of the hub.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        told = json.dumps({"address": place.url, "root": str(root)})
        print(told if as_json else f"serving {root} at {place.url}", flush=True)
        server.run(sockets=[place.listening])
    return DONE


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
