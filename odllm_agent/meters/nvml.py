"""NVIDIA graphics cards through their driver's library (NVML).

Cards are added up; one that tells nothing is told apart, as if it were another domain. Cards since
Volta count their energy in millijoules. Of earlier ones the power is read again and again and
integrated, and the report says so.

Source: NVIDIA, NVML API reference, nvmlDeviceGetTotalEnergyConsumption, nvmlDeviceGetPowerUsage;
Yang et al. 2024, "Part-time Power Measurements: nvidia-smi's Lack of Attention".
"""

import importlib
import weakref
from typing import Any

from odllm_agent.contract import MissingDomain
from odllm_agent.meters.base import Meter, Unavailable, WindowLimits
from odllm_agent.meters.energy.counter import Bounds, Counter
from odllm_agent.meters.energy.integral import Integral
from odllm_agent.meters.request import Request
from odllm_agent.meters.sensors import Sensor, Sum, apart, means_of, open_sensors

MJ_PER_J = 1000
MW_PER_W = 1000

# Cards renew their power, and what they count from it, every 20 to 100 ms (Yang et al. 2024).
PERIOD_S = 0.1
STEP_J = 1 / MJ_PER_J

# The largest card on sale is limited to 1400 W (NVIDIA B300).
MOST_W = 1400.0

# Ten updates: a card that runs never draws nothing.
STALLED_S = 10 * PERIOD_S

DOMAIN = "gpu"
INSTALL = 'pip install "odllm[nvidia]"'
NO_CARD = "nothing: leave nvml out on a device without an NVIDIA card"


def open_meter(request: Request) -> Meter:
    """The meter of this device's cards, or one that says why there is none."""
    try:
        nvml = importlib.import_module("pynvml")
    except ModuleNotFoundError:
        return Unavailable(request.text, DOMAIN, "nvidia-ml-py is not installed", INSTALL)
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Unavailable(request.text, DOMAIN, *_why_no_driver(nvml, error))
    meter = _open_cards(request.text, nvml)
    weakref.finalize(meter, nvml.nvmlShutdown)
    return meter


def _open_cards(name: str, nvml: Any) -> Meter:
    try:
        n_cards = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        return Unavailable(name, DOMAIN, *_why_no_driver(nvml, error))
    if not n_cards:
        return Unavailable(name, DOMAIN, "NVIDIA's driver finds no card", NO_CARD)
    cards, missing = apart({index: _open(nvml, index) for index in range(n_cards)})
    sensors = tuple(cards.values())
    if not sensors:
        return Unavailable(name, DOMAIN, missing[0].reason, missing[0].remedy)
    told = {DOMAIN: Sum(sensors)}
    return open_sensors(name, means_of(sensors), limits(len(sensors)), told, missing=missing)


def _open(nvml: Any, index: int) -> Sensor | MissingDomain:
    """A card's sensor, or that only this card is missing."""
    try:
        return open_card(nvml, nvml.nvmlDeviceGetHandleByIndex(index))
    except nvml.NVMLError as error:
        reason = f"the card tells neither energy nor power: {error}"
        return MissingDomain(
            f"{DOMAIN} of card {index}", reason, "nothing: the card has no such sensor"
        )


def open_card(nvml: Any, card: object) -> Sensor:
    """The best sensor of one card.

    Raises:
        NVMLError: It has none.
    """
    try:
        return Counter(
            lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(card) / MJ_PER_J,
            Bounds(MOST_W, PERIOD_S, stalled_s=STALLED_S),
        )
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
        return Integral(lambda: nvml.nvmlDeviceGetPowerUsage(card) / MW_PER_W, PERIOD_S)


def limits(n_cards: int) -> WindowLimits:
    """The windows of so many cards; their counters do not wrap in a lifetime."""
    return WindowLimits.of_period(PERIOD_S, MOST_W * n_cards, STEP_J)


def _why_no_driver(nvml: Any, error: Exception) -> tuple[str, str]:
    if isinstance(error, nvml.NVMLError_LibraryNotFound | nvml.NVMLError_DriverNotLoaded):
        return f"there is no NVIDIA driver here: {error}", NO_CARD
    return f"NVIDIA's driver refuses: {error}", "run nvidia-smi, which tells more"
