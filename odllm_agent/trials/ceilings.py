"""What this device does at most: bytes read per second, and operations with each type."""

from odllm_agent import engines
from odllm_agent.clock import now
from odllm_agent.contract import READ, Ceiling, Ceilings, CeilingsOrder, Engine
from odllm_agent.engines import bandwidth
from odllm_agent.errors import OdllmError
from odllm_agent.host.state import available_bytes, logical_cores

_READ_BUDGET_S = 0.5
_TYPE_BUDGET_S = 0.2


def measure(order: CeilingsOrder) -> Ceilings:
    """Measures the ceilings of an order, each for a fraction of a second.

    Returns:
        One per name; what cannot be measured says why.
    """
    measured_at = now()
    return Ceilings(order, measured_at, tuple(_ceiling(order.engine, each) for each in order.names))


def _ceiling(engine: Engine, name: str) -> Ceiling:
    try:
        if name == READ:
            threads = int(engine.settings["threads"]) or logical_cores()
            per_s = bandwidth.read_bytes_per_s(threads, available_bytes(), _READ_BUDGET_S)
            return Ceiling(READ, per_s, bandwidth.METHOD)
        teller = engines.ceilings(engine.name)
        per_s = teller.operations_per_s(engine, name, _TYPE_BUDGET_S)
        return Ceiling(name, per_s, teller.METHOD)
    except OdllmError as error:
        return Ceiling(name, None, "", error.message)
