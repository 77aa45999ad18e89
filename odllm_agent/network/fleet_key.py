"""The key to the fleet's model server, which follows from the fleet's token.

The token opens all of the fleet and never travels to the model server; the key opens that alone.
"""

import hashlib
import hmac
from pathlib import Path

ADDRESS_VARIABLE = "ODLLM_MODEL_SERVER"
"""Holds the address of the fleet's model server, such as `http://192.168.1.5:7867`."""
TOKEN_VARIABLE = "ODLLM_FLEET_TOKEN_FILE"  # noqa: S105 - the name of a variable
"""Holds the path of the file with the fleet's token."""

_PURPOSE = b"odllm model server"


def key_of(token: str) -> str:
    """HMAC-SHA256 (RFC 2104) of the purpose, keyed by the token, as 64 hexadecimal digits."""
    return hmac.new(token.encode(), _PURPOSE, hashlib.sha256).hexdigest()


def read_key(token_file: Path) -> str:
    """The key that follows from the token in a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no token.
    """
    token = token_file.read_text(encoding="ascii").strip()
    if not token:
        raise ValueError("it is empty")
    return key_of(token)
