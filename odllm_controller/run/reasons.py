"""Reasons in words: what shares one is told in one line."""

from collections.abc import Iterable


def lines(told: Iterable[tuple[str, str, str]]) -> list[str]:
    """A line per reason, in the order in which reasons first come.

    Args:
        told: What a reason is about, such as a model file; where it holds, such as an engine on a
            device; and the reason.
    """
    alike: dict[tuple[str, str], list[str]] = {}
    for what, where, reason in told:
        alike.setdefault((where, reason), []).append(what)
    return [_line(names, where, reason) for (where, reason), names in alike.items()]


def _line(names: list[str], where: str, reason: str) -> str:
    distinct = list(dict.fromkeys(names))
    trials = f" ({len(names)} trials)" if len(names) > len(distinct) else ""
    return f"{', '.join(distinct)} with {where}: {reason}{trials}"
