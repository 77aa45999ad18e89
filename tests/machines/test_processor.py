"""The script that stands as Python on a processor that is not here, tried with another emulator."""

import subprocess
from pathlib import Path

import pytest

from odllm_agent.host import linux
from tests.machines.processor import PROCESSORS, Processor

NEHALEM = next(each for each in PROCESSORS if each.name == "nehalem")
ARM = next(each for each in PROCESSORS if each.name == "arm-neoverse-n1")


def called(processor: Processor, folder: Path, root: Path = Path("/")) -> list[str]:
    """What the emulator is told when the script is run with a word."""
    emulator = folder / processor.emulator
    emulator.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    script = folder / "python"
    script.write_text(processor.wrapper(Path("/usr/bin/python3"), root))
    for each in (emulator, script):
        each.chmod(0o755)
    surroundings = {"PATH": f"{folder}:/usr/bin:/bin"}
    done = subprocess.run(
        [script, "a b"], env=surroundings, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_python_is_told_that_it_is_the_script_that_started_it(tmp_path: Path) -> None:
    told = called(NEHALEM, tmp_path)

    assert told[told.index("-0") + 1] == str(tmp_path / "python")
    assert told[-2:] == ["/usr/bin/python3", "a b"]
    assert told[told.index("-cpu") + 1].split(",")[0] == "Nehalem"


def test_another_architecture_finds_its_libraries_in_a_root_of_its_own(tmp_path: Path) -> None:
    root = tmp_path / "a root"

    told = called(ARM, tmp_path, root)

    assert told[told.index("-L") + 1] == str(root)


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda each: each.name)
def test_no_processor_lacks_what_it_has(processor: Processor) -> None:
    assert processor.has
    assert not processor.has & processor.lacks


def test_the_agent_reads_the_processor_s_own_name() -> None:
    assert linux.cpu_name(NEHALEM.cpuinfo(2)) == NEHALEM.told
    assert linux.cpu_name(ARM.cpuinfo(2)) == "Arm implementer 0x41 part 0xd0c"


def test_what_stands_for_cpuinfo_counts_the_processors() -> None:
    assert NEHALEM.cpuinfo(3).count("processor\t") == 3
