"""What a quality check makes of scores that are no numbers."""

import math

import pytest

from odllm_agent.contract import Score
from odllm_agent.quality import check, reading
from tests import support


def test_a_score_that_is_no_number_is_missing_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = (
        Score("perplexity", math.inf, math.nan, 10),
        Score("kld", math.nan, 0.1, 10),
        Score("delta_p", 1.0, math.nan, 10),
        Score("top1_agreement", 0.5, 0.1, 10),
    )
    monkeypatch.setattr(reading, "evaluate", lambda *_: found)
    first, second, third, fourth = check.evaluate(support.quality_check()).scores
    for score, told in ((first, "inf"), (second, "nan")):
        assert (score.value, score.standard_error) == (None, None)
        assert told in score.reason
    assert (third.value, third.standard_error) == (1.0, None)
    assert fourth == found[3]
