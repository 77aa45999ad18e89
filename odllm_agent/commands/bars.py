"""Progress bars of models that are fetched or made, on a terminal."""

from types import TracebackType

from tqdm import tqdm

from odllm_agent.contract import Progress


class Bars:
    """One bar after another, for each file that is on its way; none where there is no terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self._what = ""

    def update(self, progress: Progress) -> None:
        """Shows how far a file is."""
        if self._bar is None or self._what != progress.what:
            self._close()
            self._what = progress.what
            self._bar = tqdm(desc=progress.what, unit="B", unit_scale=True, disable=None)
        self._bar.total = progress.total_bytes
        self._bar.update(progress.done_bytes - self._bar.n)

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
