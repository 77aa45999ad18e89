"""Processors that qemu's user mode emulates, and how a Python is put under one of them."""

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor that is not here.

    Attributes:
        name: What it is called here.
        arch: Its architecture, by `uname -m`.
        model: What qemu calls it.
        told: What the system would call it; of an Arm processor the numbers of maker and part.
        variant: The part of llama.cpp that must compute on it.
        has: What NumPy must find in it, so that a wrapper that does nothing is noticed.
        lacks: What NumPy must not find in it.
    """

    name: str
    arch: str
    model: str
    told: str
    variant: str
    has: frozenset[str]
    lacks: frozenset[str]

    @property
    def emulator(self) -> str:
        """The program that emulates it; without `check=off` it writes into every worker's log."""
        return f"qemu-{self.arch}-static"

    def wrapper(self, python: Path, root: Path = Path("/")) -> str:
        """A script that stands as `python`.

        `sys.executable` is then the script, so that every process which Python starts with it is
        emulated too: qemu's user mode runs the children of a process natively.

        Args:
            python: The real interpreter.
            root: Where its libraries are.
        """
        check = ",check=off" if self.arch == "x86_64" else ""
        libraries = "" if root == Path("/") else f" -L {shlex.quote(str(root))}"
        start = f"exec {self.emulator} -cpu {self.model}{check}{libraries}"
        return f'#!/bin/sh\n{start} -0 "$0" {shlex.quote(str(python))} "$@"\n'

    def cpuinfo(self, n_cpus: int) -> str:
        """What stands for /proc/cpuinfo, which qemu 7.2 leaves as that of the machine beneath.

        Args:
            n_cpus: How many processors there are.
        """
        return "".join(f"{self._entry(cpu)}\n" for cpu in range(n_cpus))

    def _entry(self, cpu: int) -> str:
        if self.arch == "aarch64":
            maker, part = self.told.split()
            return (
                f"processor\t: {cpu}\nCPU implementer\t: {maker}\nCPU architecture: 8\n"
                f"CPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 0\n"
            )
        cores = f"physical id\t: 0\ncore id\t\t: {cpu}\n"
        return f"processor\t: {cpu}\nmodel name\t: {self.told}\n{cores}flags\t\t: fpu hypervisor\n"


def _x86(name: str, told: str, variant: str, has: str, lacks: str) -> Processor:
    names = frozenset(has.split()), frozenset(lacks.split())
    return Processor(name.lower(), "x86_64", name, told, variant, *names)


def _arm(name: str, told: str, variant: str, has: str, lacks: str) -> Processor:
    names = frozenset(has.split()), frozenset(lacks.split())
    return Processor(f"arm-{name}", "aarch64", name, told, variant, *names)


_CORE_I7, _XEON = "Intel Core i7 9xx (Nehalem Class Core i7)", "Intel Xeon E312xx (Sandy Bridge)"
_CORE, _EPYC = "Intel Core Processor (Haswell)", "AMD EPYC Processor"

PROCESSORS = (
    _x86("Nehalem", _CORE_I7, "sse42", "SSE42", "AVX"),
    _x86("SandyBridge", _XEON, "sandybridge", "AVX", "F16C AVX2"),
    _x86("Haswell", _CORE, "haswell", "AVX2 FMA3", "AVX512F"),
    _x86("EPYC", _EPYC, "haswell", "AVX2 FMA3", "AVX512F"),
    _arm("cortex-a72", "0x41 0xd08", "armv8.0_1", "ASIMD", "ASIMDDP SVE"),
    _arm("neoverse-n1", "0x41 0xd0c", "armv8.2_2", "ASIMD ASIMDDP", "SVE"),
    _arm("max", "0x00 0x051", "armv9.2_2", "ASIMD ASIMDDP SVE", ""),
)
"""TCG computes neither AVX-512 nor AMX: what needs them cannot be had by emulation."""
