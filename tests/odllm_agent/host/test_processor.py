"""What tells a processor from another."""

import pytest

from odllm_agent.host.processor import identity, processor

XEON = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Processor
stepping\t: 8
microcode\t: 0x2b000603
cpu MHz\t\t: 2600.000
flags\t\t: fpu sse2 avx512f amx_bf16 amx_tile amx_int8
"""


def test_the_same_processor_at_another_frequency_is_the_same() -> None:
    assert identity(XEON) == identity(XEON.replace("2600.000", "800.000"))
    assert identity(XEON) == identity(XEON + "\n" + XEON.replace(": 0\n", ": 1\n", 1))


@pytest.mark.parametrize(
    "change", [("0x2b000603", "0x2b000620"), (" amx_int8", ""), ("stepping\t: 8", "stepping\t: 7")]
)
def test_another_microcode_or_feature_makes_another(change: tuple[str, str]) -> None:
    assert identity(XEON) != identity(XEON.replace(*change))


def test_an_arm_processor_is_told_by_its_parts() -> None:
    arm = "processor: 0\nCPU implementer: 0x41\nCPU part: 0xd0c\nFeatures: fp asimd\n"
    assert identity(arm) != identity(arm.replace("0xd0c", "0xd4f"))


def test_this_machine_has_one() -> None:
    assert processor()
