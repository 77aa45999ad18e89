import hashlib

import pytest

from odllm_agent.errors import UsageError
from odllm_agent.models import ladder
from odllm_agent.quality.text import read_text, text_sha256


def test_the_reference_text_ships_with_the_models() -> None:
    shipped = (ladder.folder() / "heldout.txt").read_bytes()
    assert read_text("reference").encode() == shipped
    assert text_sha256("reference") == hashlib.sha256(shipped).hexdigest()


def test_an_unknown_text_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        read_text("nonsense")
    assert "'nonsense'" in caught.value.message
    assert "reference" in caught.value.remedy
