"""A trial without its weights: all that its worker holds beside them, found by holding it."""

from odllm_agent import engines, meters
from odllm_agent.contract import Rehearsal, Rehearsed
from odllm_agent.host import state
from odllm_agent.meters.memory import peak_rss_bytes
from odllm_agent.trials.trial import draw_tokens


def rehearse(order: Rehearsal) -> Rehearsed:
    """Does what a trial does around its windows, in a process like that of a trial.

    The process's peak is then what every trial of the model has: the interpreter, the engine's
    code, the vocabulary, the meters. It is measured here because nothing else knows it.

    Raises:
        OdllmError: The engine refuses the model or a setting.
    """
    teller = engines.memory(order.engine.name)
    with teller.rehearse(order.engine, order.model, order.workload) as session:
        draw_tokens(order.workload, session.vocabulary)
        meters.read(meters.open_meters(order.meters))
        state.read_state()
        found = Rehearsed(peak_rss_bytes())
    with teller.rehearse_step(order.engine, order.model, order.workload):
        return found
