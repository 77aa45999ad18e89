"""Trade-offs: every metric against bits per weight or bytes, per model and device."""

from collections.abc import Sequence
from enum import StrEnum

import pandas as pd
import streamlit as st

from odllm_app.drawing.tables import show_failed, show_held, show_results, show_skipped, show_table
from odllm_app.pages.panels import show_metrics
from odllm_app.view.empty import show_nothing_measured
from odllm_app.view.view import View
from odllm_controller.analysis.queries import results
from odllm_controller.analysis.queries.findings import table
from odllm_controller.analysis.queries.published import published
from odllm_controller.analysis.scaling.curves import Against
from odllm_controller.analysis.scaling.fits import Fit, fits
from odllm_controller.metrics import METRICS, Group, Metric


class _Along(StrEnum):
    """What the charts have along the bottom, as readers choose it."""

    BPW = "Bits per weight"
    BYTES = "Bytes"


_AGAINST = {_Along.BPW: Against.BPW, _Along.BYTES: Against.BYTES}
_FITS = {
    "device": "Device",
    "model": "Model",
    "configuration": "Engine",
    "metric": "Metric",
    "types": "Types",
    "n": "n",
    "slope": "Slope",
    "slope_low": "95 % from",
    "slope_high": "95 % to",
    "unit": "Unit of the slope",
    "r2": "R²",
    "reason": "Why there is no line",
}


def page(view: View) -> None:
    """Draws the page."""
    measured = view.measured
    if measured.empty:
        show_nothing_measured()
    else:
        _show_charts(view, measured)
    show_failed(results.failed(view.chosen))
    show_held(results.held(view.chosen))
    show_skipped(results.skipped(view.chosen))
    show_results(view.chosen)


def _show_charts(view: View, measured: pd.DataFrame) -> None:
    left, right = st.columns([3, 1])
    with left:
        group = _one_of("Metrics", [str(each) for each in Group], "group")
    with right:
        along = _one_of("Against", [str(each) for each in _Along], "against")
    against = _AGAINST[_Along(along)]
    metrics = [metric for metric in METRICS if metric.group == group]
    show_metrics(view, metrics, measured, against, behind=_behind(metrics, against))
    _show_fits(measured, metrics, against)


def _one_of(label: str, options: list[str], key: str) -> str:
    """A choice of one, kept in the address."""
    chosen = st.segmented_control(
        label, options, default=options[0], key=key, bind="query-params", required=True
    )
    # An address may leave it empty.
    return str(chosen or options[0])


def _behind(metrics: Sequence[Metric], against: Against) -> bool:
    """The choice to draw what others published, where that is known of these metrics."""
    known = any(published(metric.name) for metric in metrics)
    if not known or against is not Against.BPW:
        return False
    return st.toggle("Published figures behind", key="published", bind="query-params")


def _show_fits(measured: pd.DataFrame, metrics: list[Metric], against: Against) -> None:
    """Every line in figures, with and without F16."""
    by_name = {metric.name: metric for metric in metrics}
    found = table(fits(measured, metrics, against), Fit)
    if found.empty:
        return
    scale = found["metric"].map(lambda name: by_name[name].per_unit)
    step, step_unit = (1.0, "bit") if against is Against.BPW else (1e9, "GB")
    slopes = ["slope", "slope_low", "slope_high"]
    found[slopes] = found[slopes].astype(float).mul(step).div(scale, axis=0)
    units = found["metric"].map(lambda name: f"{by_name[name].unit or '1'} per {step_unit}")
    labels = found["metric"].map(lambda name: by_name[name].label)
    with st.expander("Lines in figures, with and without F16"):
        show_table(found.assign(unit=units, metric=labels)[list(_FITS)].rename(columns=_FITS))
