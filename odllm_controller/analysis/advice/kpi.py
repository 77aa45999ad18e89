"""Weights of metrics that together are what somebody wants: the files in `conf/kpi`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from odllm_agent.errors import UsageError
from odllm_agent.files.text_file import NotText, decoded
from odllm_controller.metrics import Metric, metric

_WEIGHTS = TypeAdapter(
    Annotated[dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]], Field(min_length=1)]
)


def load(path: Path) -> Mapping[Metric, float]:
    """The metrics of a KPI with their weights.

    Args:
        path: Its file: `metric: weight`, a line each.

    Raises:
        UsageError: It cannot be read, names no metric, or has a weight that is not positive.
    """
    try:
        weights = _WEIGHTS.validate_python(yaml.safe_load(decoded(path.read_bytes())))
    except OSError as error:
        raise UsageError(f"the KPI {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, NotText, ValidationError, RecursionError) as error:
        raise UsageError(
            f"{path} is no KPI: {_first_line(error)}",
            "write a metric and a positive weight on each line, such as `decode_tok_s: 3`",
        ) from error
    return {metric(name): weight for name, weight in weights.items()}


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")
    return str(error).splitlines()[0]
