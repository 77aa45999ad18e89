"""Whether something fits into a device's memory: the one rule that plans and agents share."""

from dataclasses import dataclass

# What is kept free beside what a model needs: 5 %, for that is how near a forecast is to the truth,
# and what a system's own services take now and then. Without it a laptop begins to swap, and a
# model that swaps is not measured but its disk.
SPARE_SHARE = 0.05
SPARE_BYTES = 64 * 10**6

# What an operating system with a desktop holds before anything is started, where no one can be
# asked: an assumption for planning ahead, never used on a device that is there.
ASSUMED_SYSTEM_BYTES = 2 * 10**9


@dataclass(frozen=True, slots=True)
class Room:
    """The memory of a device.

    Attributes:
        total_bytes: All of it.
        free_bytes: What can be had without swapping.
    """

    total_bytes: int
    free_bytes: int

    @classmethod
    def assumed(cls, total_bytes: int) -> "Room":
        """The room on a device that cannot be asked."""
        return cls(total_bytes, max(0, total_bytes - ASSUMED_SYSTEM_BYTES))

    def why_not(self, needed_bytes: int) -> str | None:
        """Why so much does not fit, or `None` if it does.

        Args:
            needed_bytes: What must stay in memory.
        """
        if with_spare(needed_bytes) <= self.free_bytes:
            return None
        return (
            f"needs {_gb(with_spare(needed_bytes))} of memory with a margin, and "
            f"{_gb(self.free_bytes)} of {_gb(self.total_bytes)} are free"
        )


def with_spare(needed_bytes: int) -> int:
    """The memory that must be free for something that needs so much."""
    return needed_bytes + int(needed_bytes * SPARE_SHARE) + SPARE_BYTES


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.2f} GB"
