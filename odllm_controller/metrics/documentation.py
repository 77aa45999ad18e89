"""The part of docs/results.md that says what each metric is; `make docs` writes it."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from odllm_controller.metrics.metric import Group, Metric
from odllm_controller.metrics.registry import EVERY

_BEGIN, _END = "<!-- metrics: `make docs` writes this part -->\n", "<!-- end of metrics -->\n"
_PART = re.compile(f"(?<={re.escape(_BEGIN)}).*(?={re.escape(_END)})", re.DOTALL)


def rewritten(page: str) -> str:
    """A page with its part about metrics as the registry has it.

    Args:
        page: The page, which has the marks of that part.
    """
    part = "\n" + "\n".join(_lines()) + "\n"
    return _PART.sub(lambda _: part, page)


def _lines() -> Iterator[str]:
    for group in Group:
        yield f"### {group}\n"
        yield "| column | better | interval | meaning |"
        yield "| --- | --- | --- | --- |"
        yield from (_row(each) for each in EVERY if each.group is group)
        yield ""


def _row(of: Metric) -> str:
    columns = ", ".join(f"`{column}`" for column in of.stored)
    direction = of.better.partition(" ")[0]
    return f"| {columns} | {direction} | {of.ends} | {of.meaning} |"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewritten(path.read_text("utf-8")), "utf-8")
