"""Prefill power against decode power."""

from odllm_controller.analysis.phase_power import PhasePower, phase_power
from tests.result_frames import frame


def powers(prefill: tuple[float, ...], decode: tuple[float, ...]) -> dict[str, object]:
    """The figure, and where they are told the ends of its interval."""
    names = ("", "_low", "_high")
    return {
        **{f"prefill_w{name}": value for name, value in zip(names, prefill, strict=False)},
        **{f"decode_w{name}": value for name, value in zip(names, decode, strict=False)},
    }


def test_only_intervals_that_do_not_meet_are_sure() -> None:
    rows = frame(
        powers((20, 19, 21), (10, 9, 11)),
        powers((12, 10, 14), (10, 9, 11)),
        powers((15,), (10,)),
        {},
    )
    assert phase_power(rows) == PhasePower(n=3, ratio=1.5, n_sure=1, n_intervals=2)


def test_without_both_figures_there_is_nothing_to_tell() -> None:
    assert phase_power(frame({"prefill_w": 20})) is None
