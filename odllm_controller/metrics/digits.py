"""Numbers of any size, with as many digits as count."""

import math


def figure(value: float) -> str:
    """A number whose size may be anything: three digits that count, four before the point."""
    if not math.isfinite(value):
        return str(value)
    rounded = float(f"{value:.{3 if abs(value) < 1000 else 4}g}")
    before = math.floor(math.log10(abs(rounded))) + 1 if rounded else 1
    return f"{rounded:,.{max(0, 3 - before)}f}"


def brief(value: float) -> str:
    """The same without zeros behind the point, for ratios and for narrow tables."""
    whole, point, behind = figure(value).partition(".")
    return f"{whole}{point}{behind}".rstrip("0").rstrip(".") if point else whole
