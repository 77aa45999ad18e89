import inspect
import pickle

import pytest

from odllm_agent import errors
from odllm_agent.errors import OdllmError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_in_the_tree_that_the_module_draws(kind: type[OdllmError]) -> None:
    assert issubclass(kind, OdllmError)
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_shows_its_message_and_remedy_and_survives_pickling(
    kind: type[OdllmError],
) -> None:
    error = pickle.loads(pickle.dumps(kind("what happened", "what to do")))
    assert str(error) == "what happened\n  what to do"
