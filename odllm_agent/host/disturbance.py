"""What disturbed a measurement: other load, heat, a battery, swapping, throttling."""

from odllm_agent.contract import DeviceState

# Close below where laptop processors begin to throttle by themselves: AMD's Tjmax is 95 or 100 C
# for Ryzen mobile and desktop parts, Intel's Tjunction 100 to 110 C (both by their data sheets).
HOT_C = 95.0

# Others may take a tenth of the device, and never more than half a core: every thread of an engine
# waits for the slowest at each layer, so what one core loses the whole run loses. An idle Ray with
# one actor takes 0.04 of a core (measured without its dashboard), well below on two cores already.
BUSY_SHARE = 0.1
BUSY_CORES = 0.5

# The system counts busy time in ticks of 10 ms (Linux, macOS) or 15.6 ms (Windows), so each CPU's
# figure may be off by one, and their sum was rounded once more.
TICK_S = 0.016


def flags(
    before: DeviceState, after: DeviceState, wall_s: float, logical_cores: int
) -> tuple[str, ...]:
    """What disturbed a measurement.

    Of `busy`, `hot`, `on_battery`, `swapped`, `throttled` and `throttled_by_quota`.

    Args:
        before: The device's state when it began.
        after: The device's state when it ended.
        wall_s: The seconds from the one to the other.
        logical_cores: The device's hardware threads.
    """
    busy_cores = min(BUSY_SHARE * logical_cores, BUSY_CORES)
    allowed_s = wall_s * busy_cores + TICK_S * (logical_cores + 1)
    found = {
        "busy": others_s(before, after) > allowed_s,
        "hot": any(
            state.temperature_c is not None and state.temperature_c >= HOT_C
            for state in (before, after)
        ),
        "on_battery": bool(before.on_battery or after.on_battery),
        "swapped": _rose(before.swapped_bytes, after.swapped_bytes),
        "throttled": _rose(before.throttle_count, after.throttle_count),
        "throttled_by_quota": _rose(before.quota_throttle_count, after.quota_throttle_count),
    }
    return tuple(name for name, holds in found.items() if holds)


def _rose(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and after > before


def others_s(before: DeviceState, after: DeviceState) -> float:
    """CPU seconds that other processes spent between two states."""
    return (after.busy_s - before.busy_s) - (after.own_cpu_s - before.own_cpu_s)
