"""Devices: what each is, and the same trials on one against another."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import pandas as pd
import streamlit as st

from odllm_app.drawing.captions import caption
from odllm_app.drawing.charts import HEIGHT
from odllm_app.drawing.escaping import plain
from odllm_app.drawing.figure import Figure
from odllm_app.drawing.symbols import Symbol, colours, points
from odllm_app.drawing.tables import show_table
from odllm_app.pages.panels import show_in_pairs
from odllm_app.view.empty import show_nothing_measured
from odllm_app.view.loading import Stamp
from odllm_app.view.view import View
from odllm_controller.analysis.compare.devices import DeviceRatio, device_ratios, shared_devices
from odllm_controller.analysis.queries import hardware, results
from odllm_controller.analysis.queries.findings import table
from odllm_controller.analysis.queries.subject import SETUP
from odllm_controller.metrics import METRICS, Metric

_HARDWARE = {
    "device": "Device",
    "kind": "Kind",
    "cpu": "Processor",
    "physical_cores": "Cores",
    "logical_cores": "Threads",
    "quota_cores": "Quota (cores)",
    "ram_gb": "Memory (GB)",
    "read_gb_s": "Reads (GB/s)",
    "compute_g_s": "Multiplies (Gop/s)",
    "compute_type": "with",
    "idle_w": "At rest (W)",
    "system": "System",
    "engines": "Engines",
}
_CELLS = {
    "device": "Device",
    "base": "Compared with",
    "model": "Model",
    "quantization": "Type",
    "configuration": "Engine",
    "base_configuration": "Engine of the other",
    "workload_label": "Workload",
    "value": "Value",
    "base_value": "Value of the other",
    "ratio": "Ratio",
    "low": "95 % from",
    "high": "95 % to",
    "origin": "Origin",
}
# With more devices than this nobody chose, only the first are compared.
_MOST_OTHERS = 4
_PANEL = [*SETUP, "base_configuration"]
_RATIO = "Times as much"


@dataclass(frozen=True, slots=True)
class Compared:
    """What is compared on the page.

    Attributes:
        metric: The metric.
        rows: The rows of `results.load` that ratios are made of.
        cells: All ratios, a row per `DeviceRatio`.
    """

    metric: Metric
    rows: pd.DataFrame
    cells: pd.DataFrame

    def beneath(self, cell: pd.Series) -> pd.DataFrame:
        """The rows of both devices that have the workload and the engine of a cell."""
        rows = self.rows[self.rows[self.metric.name].notna()]
        of_both = rows["device"].isin([cell["device"], cell["base"]])
        engines = [cell["configuration"], cell["base_configuration"]]
        alike = rows["workload_label"] == cell["workload_label"]
        found: pd.DataFrame = rows[of_both & rows["configuration"].isin(engines) & alike]
        return found


def page(view: View) -> None:
    """Draws the page."""
    measured = results.measured(view.selection.rows("device"))
    if measured.empty:
        show_nothing_measured()
    else:
        _show_comparison(view, measured)
    _show_hardware(view)


def _show_comparison(view: View, measured: pd.DataFrame) -> None:
    shared = shared_devices(measured)
    if not shared:
        st.info(
            "No two devices have measured the same model, type and workload with the same engine:"
            " there is nothing to compare. `fleet=ray` or `fleet=virtual` runs one experiment on"
            " several devices."
        )
        return
    left, right = st.columns(2)
    with left:
        base = st.selectbox("Compared with", shared, key="base", bind="query-params")
    by_label = {each.label: each for each in METRICS if measured[each.name].gt(0).any()}
    with right:
        chosen = st.selectbox("Metric", list(by_label), key="metric", bind="query-params")
    metric = by_label[chosen]
    others = _others(view, shared, base)
    kept = measured[measured["device"].isin([base, *others])]
    found = table(device_ratios(kept, metric, base), DeviceRatio)
    if found.empty:
        st.info(f"{plain(base)} shares no figure of {metric.label} with another device.")
        return
    compared = Compared(metric, kept, found)
    panels = enumerate(found.groupby(_PANEL, sort=False))
    show_in_pairs(_figure(view, compared, place + 1, rows) for place, (_, rows) in panels)


def _others(view: View, shared: Sequence[str], base: str) -> Sequence[str]:
    """The devices that are set against the base: those that were chosen, or else the first few."""
    chosen = set(view.chosen["device"])
    others = [device for device in shared if device != base]
    return [device for device in others if device in chosen] or others[:_MOST_OTHERS]


def _figure(view: View, compared: Compared, number: int, rows: pd.DataFrame) -> Figure:
    """One device against the base, with one workload and configuration."""
    metric, first = compared.metric, rows.iloc[0]
    engines = sorted({first["configuration"], first["base_configuration"]})
    parts = (
        plain(" against ".join(engines)),
        plain(first["workload_label"]),
        f"{len(rows)} trials that both have",
        "1 is alike",
        caption(compared.beneath(first), metric),
    )
    return Figure(
        name=f"devices-{metric.name.replace('_', '-')}-{number}",
        heading=f"**{plain(first['device'])} against {plain(first['base'])}**"
        f" · {metric.label}, {metric.better}",
        chart=_chart(rows, compared.cells, view.symbols),
        table=_titled(rows, metric),
        caption=" · ".join(parts),
    )


def _chart(rows: pd.DataFrame, beside: pd.DataFrame, of: Sequence[Symbol]) -> alt.LayerChart:
    ends = pd.concat([beside["ratio"], beside["low"], beside["high"], pd.Series([1.0])]).dropna()
    scale = alt.Scale(type="log", domain=[ends.min() / 1.05, ends.max() * 1.05], nice=False)
    base = alt.Chart(rows[["model", "quantization", "file_bpw", "ratio", "low", "high", "origin"]])
    along = base.encode(
        x=alt.X("file_bpw:Q", title="Bits per weight of the file", scale=alt.Scale(zero=False))
    )
    bars = along.mark_rule(strokeWidth=2).encode(
        y=alt.Y("low:Q", title=_RATIO, scale=scale), y2="high:Q", color=colours(of)
    )
    marks = points(along, of).encode(
        y=alt.Y("ratio:Q", title=_RATIO, scale=scale, axis=alt.Axis(format=".3~g")),
        tooltip=[
            alt.Tooltip("model:N", title="Model"),
            alt.Tooltip("quantization:N", title="Type"),
            alt.Tooltip("ratio:Q", title="Ratio", format=".3~g"),
            alt.Tooltip("low:Q", title="95 % from", format=".3~g"),
            alt.Tooltip("high:Q", title="95 % to", format=".3~g"),
        ],
    )
    alike = alt.Chart(pd.DataFrame({"ratio": [1.0]})).mark_rule(strokeDash=[4, 3], color="gray")
    layered: alt.LayerChart = alt.layer(  # type: ignore[assignment]
        alike.encode(y=alt.Y("ratio:Q", scale=scale)),
        bars.transform_filter("isValid(datum.low)"),
        marks,
    )
    return layered.properties(height=HEIGHT)


def _titled(rows: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    shown = rows.assign(
        value=rows["value"] / metric.per_unit, base_value=rows["base_value"] / metric.per_unit
    )
    unit = f" ({metric.unit})" if metric.unit else ""
    titles = _CELLS | {"value": f"Value{unit}", "base_value": f"Value of the other{unit}"}
    return shown[list(titles)].rename(columns=titles)


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(
    path: Path,
    stamp: Stamp,  # noqa: ARG001 - a part of the cache's key
) -> pd.DataFrame:
    return hardware.devices(path)


def _show_hardware(view: View) -> None:
    found = _load(view.path, view.stamp)
    st.subheader("What each device is")
    shown = found.assign(
        ram_gb=found["ram_bytes"] / 1e9,
        read_gb_s=found["read_bytes_s"] / 1e9,
        compute_g_s=found["compute_per_s"] / 1e9,
    )
    show_table(shown[list(_HARDWARE)].rename(columns=_HARDWARE))
    st.caption("Reads and multiplies: the most that was measured; empty where it was not.")
