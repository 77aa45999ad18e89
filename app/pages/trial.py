"""Trial: one trial down to its token times, repeats, power, device states and failures."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import streamlit as st

from odllm_app.drawing import trial_charts
from odllm_app.drawing.captions import resting
from odllm_app.drawing.escaping import plain, short
from odllm_app.drawing.figure import Figure, show
from odllm_app.drawing.tables import show_table
from odllm_app.view.loading import Stamp
from odllm_app.view.view import View
from odllm_controller.analysis.queries import detail
from odllm_controller.analysis.queries.detail import Detail
from odllm_controller.analysis.queries.results import Row, build_label, records
from odllm_controller.metrics import METRICS, Metric, brief, figure

_KEY = "trial"
_HEADLINE = ("decode_tok_s", "prefill_tok_s", "ttft_s", "peak_rss_bytes", "perplexity")
# A list that is longer is no help in finding a trial: the sidebar is.
_MOST_CHOICES = 300
_REPEATS = {
    "round": "Round",
    "repeat": "Repeat",
    "kind": "Kind",
    "decode_tok_s": "Decode speed (tok/s)",
    "prefill_tok_s": "Prefill speed (tok/s)",
    "ttft_ms": "Time to first token (ms)",
    "flags": "Flags",
}
_STATES = {
    "round": "Round",
    "repeat": "Repeat",
    "moment": "Moment",
    "temperature_c": "Temperature (°C)",
    "frequency_ghz": "Frequency (GHz)",
    "available_gb": "Free memory (GB)",
    "on_battery": "On battery",
    "governor": "Governor",
    "power_profile": "Power profile",
    "throttle_count": "Throttle events",
    "quota_throttle_count": "Periods out of quota",
}
_ENERGY = {
    "phase": "Phase",
    "domain": "Domain",
    "meter": "Meter",
    "method": "Method",
    "energy_j": "Energy (J)",
    "uncertainty_j": "May be off by (J)",
    "power_w": "Power (W)",
    "windows": "Windows",
    "reason": "Why there is no figure",
}


def page(view: View) -> None:
    """Draws the page."""
    row = _chosen(view)
    if row is None:
        st.info("None of the chosen rows is a trial. Choose others on the left.")
        return
    found = _load(view.path, view.stamp, row["trial_id"])
    _show_failure(row, found)
    _show_figures(row)
    if not found.repeats.empty:
        _show_charts(row, found)
    for title, table in _tables(found):
        if not table.empty:
            with st.expander(title):
                show_table(table)
    _show_file(found)
    _show_conditions(row)


@st.cache_resource(max_entries=8, show_spinner=False)
def _load(
    path: Path,
    stamp: Stamp,  # noqa: ARG001 - a part of the cache's key
    trial_id: str,
) -> Detail:
    return detail.load(path, trial_id)


def _chosen(view: View) -> Row | None:
    """Shows the choice among the chosen trials, and gives the row of the one in the address."""
    trials = view.chosen.dropna(subset="trial_id").head(_MOST_CHOICES).set_index("trial_id")
    asked = st.query_params.get(_KEY)
    everything = view.results.dropna(subset="trial_id").set_index("trial_id")
    if asked is not None and asked not in everything.index:
        st.warning(f"There is no trial {plain(asked)} in this store: here is another.")
    elif asked is not None and asked not in trials.index:
        trials = pd.concat([everything.loc[[asked]], trials])
    if trials.empty:
        return None
    labels = {row["trial_id"]: _label(row) for row in records(trials.reset_index())}
    first = asked if asked in labels else next(iter(labels))
    chosen = st.selectbox(
        "Trial",
        list(labels),
        index=list(labels).index(first),
        format_func=lambda trial: labels.get(trial, trial),
        key=f"choice-of-{asked}",
    )
    if chosen != first:
        st.query_params[_KEY] = chosen
    (row,) = records(trials.loc[[chosen]].reset_index())
    return row


def _label(row: Row) -> str:
    subject = f"{row['model']} {row['quantization']}"
    return " · ".join(
        short(part, 50)
        for part in (subject, row["device"], row["configuration"], row["workload_label"])
    )


def _show_failure(row: Row, found: Detail) -> None:
    if row["status"] == "failed":
        st.error(f"{plain(row['failure'], 500)}. {plain(row['remedy'], 500)}")
    if row["status"] == "held":
        st.info(f"Left for a later run: {plain(row['hold_reason'], 500)}")
    for failure in found.failures.to_dict("records"):
        title = f"Round {failure['round']}: {plain(failure['kind'])}"
        with st.expander(title):
            st.text(f"{failure['message']}\n{failure['remedy']}")
            log = "\n".join(part for part in (failure["traceback"], failure["log"]) if part)
            if log:
                st.code(log, language=None)


def _show_figures(row: Row) -> None:
    """Every metric that the trial has, with its interval."""
    present = [metric for metric in METRICS if pd.notna(row.get(metric.name))]
    headline = [metric for metric in present if metric.name in _HEADLINE]
    with st.container(horizontal=True, gap="small"):
        for metric in headline:
            value = figure(row[metric.name] / metric.per_unit)
            st.metric(metric.title, value, width="content")
    if present:
        with st.expander("All figures"):
            show_table(pd.DataFrame([_figure(row, metric) for metric in present]))


def _figure(row: Row, metric: Metric) -> dict[str, object]:
    scaled = {
        title: row[column] / metric.per_unit if pd.notna(row.get(column)) else None
        for title, column in (
            ("Value", metric.name),
            ("95 % from", metric.low),
            ("95 % to", metric.high),
        )
    }
    return {"Metric": metric.label, "Unit": metric.unit, **scaled, "Better": str(metric.better)}


def _show_charts(row: Row, found: Detail) -> None:
    caption = resting(row)
    left, right = st.columns(2, gap="medium")
    with left:
        show(_of_repeats(row, found, caption))
    if not found.tokens.empty:
        with right:
            show(_of_tokens(found, caption))
    _show_power(row, found)


def _of_repeats(row: Row, found: Detail, caption: str) -> Figure:
    return Figure(
        "trial-repeats",
        "**Decode speed of each repeat** · in the order of time",
        trial_charts.of_repeats(found.repeats, row),
        trial_charts.shown_repeats(found.repeats)[list(_REPEATS)].rename(columns=_REPEATS),
        f"{caption} · line: the trial's median, band: its 95 % interval",
    )


def _of_tokens(found: Detail, caption: str) -> Figure:
    table = trial_charts.shown_tokens(found.tokens)
    return Figure(
        "trial-tokens",
        "**Time of each token** · by its place in the output",
        trial_charts.of_tokens(table),
        table.rename(columns=trial_charts.TOKENS),
        f"{caption} · line: median over all repeats, band: 5 % to 95 % of them, dots: the slowest",
    )


def _show_power(row: Row, found: Detail) -> None:
    if found.power.empty:
        told = row["energy_reason"]
        reason: str = "no meter that measures was read" if pd.isna(told) else plain(told, 300)
        st.info(f"There is no power trace: {reason}")
        return
    traced = found.power[["round", "repeat"]].drop_duplicates().itertuples(index=False)
    names = {f"round {n}, repeat {each}": (n, each) for n, each in traced}
    name = st.selectbox(
        "Power trace of",
        list(names),
        index=min(1, len(names) - 1),
        key="trace",
        bind="query-params",
    )
    round_, repeat = names[name]
    trace = found.power[(found.power["round"] == round_) & (found.power["repeat"] == repeat)]
    show(
        Figure(
            "trial-power",
            f"**Power in {name}**",
            trial_charts.of_power(trace),
            trace.rename(columns=trial_charts.POWER)[list(trial_charts.POWER.values())],
            f"{resting(row)} · one of them · each step is the mean between two readings",
        )
    )


def _tables(found: Detail) -> Iterator[tuple[str, pd.DataFrame]]:
    yield "Energy by phase and domain", found.energy[list(_ENERGY)].rename(columns=_ENERGY)
    states = found.states.assign(
        frequency_ghz=found.states["frequency_hz"] / 1e9,
        available_gb=found.states["available_bytes"] / 1e9,
    )
    yield "The device before and after each repeat", states[list(_STATES)].rename(columns=_STATES)
    rounds = found.rounds.assign(
        peak_mb=found.rounds["peak_rss_bytes"] / 1e6, kv_mb=found.rounds["kv_bytes"] / 1e6
    ).drop(columns=["peak_rss_bytes", "kv_bytes"])
    yield "Rounds", rounds


def _show_file(found: Detail) -> None:
    """What the model's file says of itself, and what it consists of."""
    for file in records(found.file):
        weights = {share["type"]: share["n_weights"] for share in json.loads(file["mix"])}
        shares = (f"{kind} {100 * n / file['n_weights']:.1f} %" for kind, n in weights.items())
        template = {True: "yes", False: "no"}.get(file["has_chat_template"])
        told = {
            "Name": file["title"],
            "Licence": file["license"],
            "Architecture": file["architecture"],
            "Context (tokens)": _whole(file["context_tokens"]),
            "Tokenizer": file["tokenizer"],
            "Vocabulary (tokens)": _whole(file["vocabulary_tokens"]),
            "Chat template": template,
            "Types of weights": ", ".join(shares),
            "Importance matrix made of": file["imatrix"],
            "Source": file["source"],
            "To be known": " ".join(f"{remark}." for remark in json.loads(file["remarks"])),
        }
        with st.expander("The model's file"):
            _show_values(told, "The file")


def _show_conditions(row: Row) -> None:
    """What was measured on what: enough to measure it again."""
    text = row.get("settings")
    settings = json.loads(text) if isinstance(text, str) else {}
    with st.expander("What was measured"):
        told = {
            "Trial": row["trial_id"],
            "Run": row["run"],
            "Device": f"{row['device']} ({row['device_id']})",
            "Engine": f"{row['engine']} {row['engine_version']}, {build_label(row)}",
            "Model": f"{row['model']} {row['quantization']}",
            "Checksum": row["model_sha256"],
            "Workload": row["workload_label"],
            "File (MB)": figure(row["file_bytes"] / 1e6),
            "Bits per weight": brief(row["file_bpw"]),
            **{f"Setting {key}": value for key, value in settings.items()},
        }
        _show_values(told, "Value")


def _show_values(told: Mapping[str, object], heading: str) -> None:
    rows = [(key, _known(value)) for key, value in told.items()]
    show_table(pd.DataFrame(rows, columns=["", heading]))


def _whole(value: float | None) -> str | None:
    return None if pd.isna(value) else f"{value:,.0f}"


def _known(value: object) -> str:
    return "not known" if value in {None, ""} or str(value) == "nan" else str(value)
