"""Whether something fits into a device's memory: the one rule that plans and agents share."""

# What is kept free beside what a model needs: 5 %, for that is how near a forecast is to the truth,
# and what a system's own services take now and then. Without it a laptop begins to swap, and then
# its disk is measured and not the model.
SPARE_SHARE = 0.05
SPARE_BYTES = 64 * 10**6

# What an operating system with a desktop holds before anything is started: assumed for a device
# that cannot be asked, and never used for one that is there.
ASSUMED_SYSTEM_BYTES = 2 * 10**9


def with_spare(needed_bytes: int) -> int:
    """The memory that must be free for what needs so much."""
    return needed_bytes + int(needed_bytes * SPARE_SHARE) + SPARE_BYTES


def why_too_large(needed_bytes: int, available_bytes: int) -> str | None:
    """Why something does not fit, or `None` if it does.

    Args:
        needed_bytes: What must stay in memory while it runs.
        available_bytes: The memory that can be had on the device without swapping.
    """
    wanted_bytes = with_spare(needed_bytes)
    if wanted_bytes <= available_bytes:
        return None
    return (
        f"needs at least {wanted_bytes / 1e9:,.2f} GB of memory, a margin included, and "
        f"{available_bytes / 1e9:,.2f} GB are free"
    )


def assumed_available_bytes(total_bytes: int) -> int:
    """The memory that can be had on a device that cannot be asked."""
    return max(0, total_bytes - ASSUMED_SYSTEM_BYTES)
