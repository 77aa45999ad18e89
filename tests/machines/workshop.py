"""Where machines are made of an interpreter, the agent's dependencies and a wheel."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.machines import debian, packages
from tests.machines.machine import Interpreter, Machine
from tests.machines.processor import PROCESSORS, Processor
from tests.machines.wheel import CROSS, NATIVE, Compiler, compiled

_PROCESSORS = {processor.name: processor for processor in PROCESSORS}
_COMPILERS = {compiler.name: compiler for compiler in NATIVE}

FIRST = next((compiler.name for compiler in NATIVE if compiler.is_here), NATIVE[0].name)
"""The build that all others are held against, run on the processor that is here."""

NAMES = (*_COMPILERS, *_PROCESSORS)


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where machines are made.

    Attributes:
        folder: Where everything but the wheels is.
        wheels: Where wheels are, those of each compiler in a folder of its name.
    """

    folder: Path
    wheels: Path

    def missing(self, name: str) -> str | None:
        """The first program without which a machine cannot be made, or `None`."""
        processor, compiler = _parts(name)
        programs = [] if self._is_compiled(compiler) else [compiler.cxx]
        if processor:
            programs.append(processor.emulator)
        if processor and processor.arch == "aarch64":
            programs += ["debootstrap", "dpkg-deb"]
        return next((each for each in programs if shutil.which(each) is None), None)

    def machine(self, name: str) -> Machine:
        """A new machine.

        Raises:
            CalledProcessError: Something that it needs cannot be made.
        """
        processor, compiler = _parts(name)
        interpreter = self._interpreter(compiler.arch)
        dependencies = packages.install(
            compiler.arch, interpreter.version, self.folder / f"packages-{compiler.arch}"
        )
        machine = Machine(name, self.folder / name, processor)
        machine.lay_out(interpreter, dependencies, compiled(compiler, self._of(compiler)))
        return machine

    def _interpreter(self, arch: str) -> Interpreter:
        if arch == "aarch64":
            return debian.python(self.folder / "debian-arm64")
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return Interpreter(Path(sys.base_prefix, "bin", f"python{version}"), version)

    def _of(self, compiler: Compiler) -> Path:
        return self.wheels / compiler.name

    def _is_compiled(self, compiler: Compiler) -> bool:
        return any(self._of(compiler).glob("*.whl"))


def _parts(name: str) -> tuple[Processor | None, Compiler]:
    """What a machine of that name is made of."""
    processor = _PROCESSORS.get(name)
    if processor is None:
        return None, _COMPILERS[name]
    return processor, CROSS if processor.arch == "aarch64" else _COMPILERS[FIRST]
