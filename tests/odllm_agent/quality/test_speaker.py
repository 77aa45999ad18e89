"""What a model says, with the real llama.cpp and the reference ladder's largest model."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from odllm_agent import engines
from odllm_agent.contract import ModelRequest, Source
from odllm_agent.engines.base import Session
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import UsageError
from odllm_agent.models import Cache, prepare
from odllm_agent.quality.speaker import Speaker
from tests import support

NAME = "reference-7.6M"
CONTEXT = 256


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    request = ModelRequest(NAME, Source.REFERENCE, NAME)
    model = prepare(request, Cache(tmp_path_factory.mktemp("cache")), 2**32)
    settings = check_settings("llama_cpp", {"threads": 1})
    engine = dataclasses.replace(support.engine(), settings=settings)
    with engines.load(engine, model, CONTEXT) as opened:
        yield opened


@pytest.fixture
def speaker(session: Session) -> Speaker:
    return Speaker(session, CONTEXT)


def test_a_likelihood_is_the_sum_over_the_continuations_tokens(
    session: Session, speaker: Speaker
) -> None:
    context, continuation = "20 - 10", " = 10"
    tokens = session.tokenize(context + continuation)
    n_context = len(session.tokenize(context))
    logits = session.logits(tokens).astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = sum(log_p[place - 1, tokens[place]] for place in range(n_context, len(tokens)))
    assert speaker.likelihood(context, continuation).log_p == pytest.approx(wanted, rel=1e-4)


def test_the_right_answer_is_likelier_and_the_greedy_one(speaker: Speaker) -> None:
    right, wrong = (speaker.likelihood("20 - 10 =", choice) for choice in (" 10", " 19"))
    assert right.log_p > wrong.log_p
    assert (right.is_greedy, wrong.is_greedy) == (True, False)


def test_white_space_at_the_end_of_a_context_belongs_to_the_continuation(speaker: Speaker) -> None:
    assert speaker.likelihood("20 - 10 = ", "10") == speaker.likelihood("20 - 10 =", " 10")


def test_likelihoods_do_not_depend_on_what_was_asked_before(speaker: Speaker) -> None:
    first = speaker.likelihood("20 - 10 =", " 10")
    for context, continuation in (("20 - 10 =", " 19"), ("36 + 23 =", " 59")):
        speaker.likelihood(context, continuation)
    speaker.answer("36 + 23 =", ["\n"], 4)
    assert speaker.likelihood("20 - 10 =", " 10") == first


def test_a_context_that_is_too_long_loses_its_front(session: Session) -> None:
    text = "The sum is. " * 200 + "20 - 10 ="
    small = Speaker(session, 64)
    whole = session.tokenize(text + " 10")
    n_said = len(whole) - len(session.tokenize(text))
    assert len(whole) > 300
    assert small.likelihood(text, " 10") == small.predicted(whole[-65:], 65 - n_said)


def test_an_answer_is_greedy_and_ends_before_the_stop(speaker: Speaker) -> None:
    assert speaker.answer("20 - 10 =", ["\n"], 16).strip() == "10"
    long = speaker.answer("20 - 10 =", [], 12)
    assert long.startswith(speaker.answer("20 - 10 =", ["\n"], 12))
    assert len(speaker.tokens(long)) <= 13


def test_an_answer_of_so_many_tokens_is_the_start_of_a_longer_one(speaker: Speaker) -> None:
    short, long = (speaker.answer("A duck called Daisy", [], count) for count in (3, 9))
    assert long.startswith(short)
    assert len(long) > len(short)


def test_an_answer_leaves_room_for_itself(speaker: Speaker) -> None:
    assert speaker.answer("A duck called Daisy. " * 100, ["\n\n\n"], CONTEXT * 2)


def test_nothing_to_predict_or_to_answer_is_refused(speaker: Speaker) -> None:
    with pytest.raises(UsageError, match="no tokens of its own"):
        speaker.likelihood("20 - 10 =", "")
    with pytest.raises(UsageError, match="no tokens"):
        speaker.answer("", [], 3)


def test_text_survives_the_way_through_tokens(session: Session) -> None:
    text = "A duck called Daisy: 20 - 10 = 10.\nÄ €"
    assert session.detokenize(session.tokenize(text)) == text
    assert session.detokenize([]) == ""


def test_the_end_of_a_text_ends_an_answer(session: Session) -> None:
    assert any(session.ends(token) for token in range(session.vocabulary))
    assert not any(session.ends(token) for token in session.tokenize("A duck."))
