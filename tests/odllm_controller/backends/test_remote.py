"""What is told of an agent that does not answer as it should."""

from collections.abc import Callable
from typing import Any

import pytest

from odllm_agent.errors import DispatchError, UsageError
from tests.ray_modules import imported

pytestmark = pytest.mark.ray

NO_CACHE = UsageError("the cache cannot be used", "set ODLLM_CACHE_DIR")
DENIED = PermissionError(13, "Permission denied", "/home/else")


def failed(cause: Exception) -> Callable[[Any], Exception]:
    """What Ray raises where the agent's own work raised something."""
    text = f"\x1b[36mray::AgentActor.forecast()\x1b[39m (pid=1)\nTraceback\n{cause!r}"
    return lambda kinds: kinds.RayTaskError("forecast", text, cause)


@pytest.mark.parametrize(
    ("error", "message", "remedy"),
    [
        pytest.param(
            failed(DENIED),
            f"the agent failed: PermissionError: {DENIED}",
            "`odllm-agent doctor` on its device tells more",
            id="an error of the system",
        ),
        pytest.param(
            failed(NO_CACHE),
            "the agent failed: the cache cannot be used",
            "set ODLLM_CACHE_DIR",
            id="an error of ours",
        ),
        pytest.param(
            lambda kinds: kinds.GetTimeoutError("\x1b[31mno answer\x1b[39m in time\nand more"),
            "the agent does not answer: no answer in time",
            "run the command again",
            id="no answer",
        ),
    ],
)
def test_what_failed_is_told_and_not_rays_words_round_it(
    monkeypatch: pytest.MonkeyPatch, error: Callable[[Any], Exception], message: str, remedy: str
) -> None:
    ray, remote = map(imported, ("ray", "odllm_controller.backends.remote"))

    def refuse(*_: object, **__: object) -> None:
        raise error(ray.exceptions)

    monkeypatch.setattr(ray, "get", refuse)
    with pytest.raises(DispatchError) as refused:
        remote.answer("reference")
    assert (refused.value.message, refused.value.remedy) == (message, remedy)
