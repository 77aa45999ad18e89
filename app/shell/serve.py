"""Starting the explorer on this machine."""

import importlib.util
import socket
import subprocess
import sys
from pathlib import Path

from odllm_agent.errors import UsageError
from odllm_controller import store

ADDRESS = "127.0.0.1"
PORT = 8501

_SCRIPT = Path(__file__).parent / "entry" / "script.py"


def explore(path: Path, port: int = PORT, *, headless: bool = False) -> int:
    """Serves the explorer until it is interrupted.

    Args:
        path: The store that it shows.
        port: Where it listens, on this machine only.
        headless: Whether to leave the browser closed.

    Returns:
        The exit status.

    Raises:
        StoreError: The store cannot be read.
        UsageError: The port is taken, or Streamlit is not installed.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise UsageError("the explorer needs streamlit", "Install it: pip install 'odllm[app]'")
    store.read(path, "SELECT 1")
    _check_free(port)
    line = command(path, port, headless=headless)
    print(f"The explorer of {path}: http://{ADDRESS}:{port} (Ctrl-C ends it)", flush=True)
    try:
        # Nothing is asked, so that it also starts where nobody can answer.
        return subprocess.run(line, stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603 - our own line
    except KeyboardInterrupt:
        return 0


def command(path: Path, port: int, *, headless: bool) -> list[str]:
    """The command line that serves the page from this machine to this machine alone."""
    options = {
        "server.address": ADDRESS,
        "server.port": str(port),
        "server.headless": str(headless).lower(),
        # Without it the first start of a user ends at a question for an e-mail address.
        "server.showEmailPrompt": "false",
        "server.fileWatcherType": "none",
        "logger.hideWelcomeMessage": "true",
        "logger.level": "error",
        # The explorer has none, and those of the user's home may be closed to this user.
        "secrets.files": str(_SCRIPT.with_name("secrets.toml")),
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "theme.light.primaryColor": "#0072B2",
        "theme.dark.primaryColor": "#3D9BD9",
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    store_flag = ["--store", str(path.absolute())]
    return [
        sys.executable,
        "-m",
        "odllm_app.shell.entry",
        "run",
        str(_SCRIPT),
        *flags,
        "--",
        *store_flag,
    ]


def _check_free(port: int) -> None:
    if port not in range(1, 65536):
        raise UsageError(f"there is no port {port}", "Choose one from 1024 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be used: {error.strerror}",
                f"Choose another, such as --port {port + 1}.",
            ) from error
