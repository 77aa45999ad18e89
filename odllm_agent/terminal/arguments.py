"""What a command takes on its line, and what is meant by a word that it does not know."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any, NoReturn

_WRONG_USAGE = 2


def nearest(name: str, known: Iterable[str]) -> str:
    """What somebody may have meant who typed a name that is not known."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"choose from {', '.join(sorted(names))}"


def close_options(word: str, options: Iterable[str]) -> list[str]:
    """The options that may be meant by a word that is none: misspelt, or cut short."""
    known = list(options)
    begun = [each for each in known if each.startswith(word) and word.startswith("--")]
    return begun[:3] or difflib.get_close_matches(word, known, n=3, cutoff=0.75)


class _Version(argparse.Action):
    """Tells the version, which is looked up only then, and ends."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, nargs=0, default=argparse.SUPPRESS)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        sys.stdout.write(f"odllm {metadata.version('odllm')}\n")
        parser.exit()


class Parser(argparse.ArgumentParser):
    """A parser that answers a wrong word in two lines, with what was probably meant.

    Args:
        options: Those of `argparse.ArgumentParser`.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        # An abbreviation is a misspelling that means something else once an option is added.
        super().__init__(**options | {"allow_abbrev": False})
        self.add_argument("--version", action=_Version, help="show the version of ODLLM")

    def error(self, message: str) -> NoReturn:
        """Ends the process with a message."""
        self.exit(_WRONG_USAGE, f"{self.prog}: {message}\n  {self.prog} --help tells all\n")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses, and refuses what is left over, since a subcommand would hand it to its parent."""
        known, left = self.parse_some_args(args, namespace)
        if left:
            self.error(self._unknown(left[0]))
        return known, left

    def parse_some_args(
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses, and gives back what is none of its own."""
        return super().parse_known_args(args, namespace)

    def _unknown(self, word: str) -> str:
        option = word.partition("=")[0]
        if not option.startswith("-"):
            return f"there is nothing to do with {word!r}"
        close = close_options(option, self._option_string_actions)
        meant = f"; did you mean {' or '.join(close)}?" if close else ""
        return f"there is no option {option}{meant}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        is_command = isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 - has no other name
        what = (action.metavar or action.dest) if is_command else action.dest
        meant = nearest(str(value), map(str, action.choices))
        raise argparse.ArgumentError(None, f"there is no {str(what).lower()} {value!r}; {meant}")
