"""What a sensor shows, written down beforehand."""


class Script:
    """A sensor that gives one value, or one failure, after another."""

    def __init__(self, *steps: float | Exception) -> None:
        self._steps = iter(steps)

    def __call__(self) -> float:
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        return step
