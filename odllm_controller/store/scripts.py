"""The SQL that stands in files of its own beside the code."""

from functools import cache
from importlib import resources
from string import Template

from odllm_controller.metrics import RATES

_METRICS = {"rates": ", ".join(RATES), "rate_names": ", ".join(f"'{name}'" for name in RATES)}


@cache
def script(name: str) -> str:
    """The text of a file of this package, such as `rates.sql`, with the metrics that it is to have.

    Args:
        name: The file's name; in it `${rates}` stands for the columns of which a summary has a
            median and an interval, and `${rate_names}` for their names.
    """
    text = (resources.files("odllm_controller.store") / name).read_text("utf-8")
    return Template(text).safe_substitute(_METRICS)
