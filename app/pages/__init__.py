"""The explorer's pages: each a module with a function that draws it from a `View`."""

from odllm_app.pages import answer, devices, energy, pareto, runs, threshold, trade_offs, trial
from odllm_app.view.view import Page

PAGES = (
    Page("answer", "Answer", "Which configuration should this device run, and why?", answer.page),
    Page(
        "trade-offs",
        "Trade-offs",
        "What does each bit per weight cost, and what does it buy?",
        trade_offs.page,
    ),
    Page(
        "threshold",
        "Threshold",
        "Do few bits of a larger model beat many of a smaller one, and what of the paper holds?",
        threshold.page,
    ),
    Page("pareto", "Pareto", "What is not beaten by anything in every respect?", pareto.page),
    Page("devices", "Devices", "How does one device compare with another?", devices.page),
    Page(
        "energy", "Energy", "What do prefill and decode draw, and what costs a token?", energy.page
    ),
    Page("trial", "Trial", "What happened in one trial, token by token?", trial.page),
    Page("runs", "Runs", "What was run, how far did it get, and what went wrong?", runs.page),
)
"""All pages, in their order in the navigation; the explorer opens on the first."""
