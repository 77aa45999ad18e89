import json

import pytest

from odllm_agent.files.json_fields import Twice, once


def test_an_object_is_as_it_is() -> None:
    assert json.loads('{"a": {"b": 1}, "c": [{}]}', object_pairs_hook=once) == {
        "a": {"b": 1},
        "c": [{}],
    }


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '{"b": [{"c": 0, "a": 1, "a": 2}]}'])
def test_a_field_that_is_there_twice_is_named(text: str) -> None:
    with pytest.raises(Twice, match="it has the field 'a' twice"):
        json.loads(text, object_pairs_hook=once)
