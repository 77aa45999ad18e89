"""What is measured, each metric once: name, unit, direction, interval, and where it is shown."""

from odllm_controller.metrics.digits import brief, figure
from odllm_controller.metrics.metric import Basis, Better, Ends, Group, Metric, Values
from odllm_controller.metrics.registry import (
    ALIASES,
    METRICS,
    RATES,
    RUN_TABLE,
    TASK,
    all_columns,
    metric,
    of_column,
)

__all__ = [
    "ALIASES",
    "METRICS",
    "RATES",
    "RUN_TABLE",
    "TASK",
    "Basis",
    "Better",
    "Ends",
    "Group",
    "Metric",
    "Values",
    "all_columns",
    "brief",
    "figure",
    "metric",
    "of_column",
]
