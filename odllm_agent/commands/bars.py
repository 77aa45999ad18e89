"""Progress bars of downloads, on a terminal."""

from types import TracebackType

from tqdm import tqdm


class Bars:
    """One bar after another, for each file that is on its way; none where there is no terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self._name = ""

    def update(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Shows how far a file is."""
        if self._bar is None or self._name != name:
            self._close()
            self._name = name
            self._bar = tqdm(desc=name, total=total_bytes, unit="B", unit_scale=True, disable=None)
        self._bar.update(done_bytes - self._bar.n)

    def __enter__(self) -> "Bars":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
