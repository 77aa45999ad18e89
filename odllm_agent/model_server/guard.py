"""Who is let in: whoever sends the key, and nobody else."""

import hmac
import logging

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_SHOWN_CHARACTERS = 200

_log = logging.getLogger(__name__)


class Guard:
    """Stands before an application and answers 401 to whoever has not the key.

    That answer tells nothing about what stands behind.

    Args:
        application: What stands behind.
        key: What has to be sent, as `Authorization: Bearer KEY`.
    """

    def __init__(self, application: ASGIApp, key: str) -> None:
        self._application = application
        self._expected = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return
        sent = Headers(scope=scope).get("authorization")
        # Compared in constant time, so that how long it takes tells nothing of the key.
        if sent and hmac.compare_digest(sent.encode("latin-1"), self._expected):
            await self._application(scope, receive, send)
            return
        _log.warning("refused %s, %s key", told(scope), "a wrong" if sent else "no")
        refusal = PlainTextResponse("no entry\n", 401, {"WWW-Authenticate": "Bearer"})
        await refusal(scope, receive, send)


def told(scope: Scope) -> str:
    """What a request asked for and who sent it, fit for a line of a log, without its headers."""
    client = scope.get("client") or ("somebody",)
    # Whoever asks chooses the path, and may want it to look like another line.
    return f"{client[0]}: {scope['method']} {ascii(scope['path'])[:_SHOWN_CHARACTERS]}"
