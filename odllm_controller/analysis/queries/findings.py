"""Findings as a table, for a notebook, a page or a file."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Finding = TypeVar("Finding", bound="DataclassInstance")


def table(findings: Sequence[Finding], kind: type[Finding]) -> pd.DataFrame:
    """A row per finding.

    Args:
        findings: What was found.
        kind: Their type: its fields are the columns, also where nothing was found.
    """
    columns = [field.name for field in dataclasses.fields(kind)]
    return pd.DataFrame([dataclasses.asdict(each) for each in findings], columns=columns)
