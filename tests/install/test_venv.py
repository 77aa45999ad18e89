"""Which Python an environment is made with, and what is told where none will do."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "install" / "venv.sh"
# What the script itself calls.
TOOLS = ("sh", "sed", "sort", "head", "tail", "grep", "dirname", "mkdir", "cp", "chmod")

PYTHON = """\
#!/bin/sh
case "$*" in
  *version_info*) echo "{kind}" ;;
  *ensurepip*) exit {without_ensurepip} ;;
  *"import pip"*) exit {without_pip} ;;
  *"-m venv --clear"*) mkdir -p "$4/bin" && cp "$0" "$4/bin/made-by" ;;
  *) exit 2 ;;
esac
"""


@dataclass(frozen=True, slots=True)
class System:
    """A system with nothing on its path but what a test puts there."""

    root: Path

    def python(
        self, path: str, kind: str, *, without_ensurepip: bool = False, without_pip: bool = False
    ) -> None:
        """Puts a Python there that says that it is of a kind."""
        self._program(
            self.root / path,
            PYTHON.format(
                kind=kind,
                without_ensurepip=int(without_ensurepip),
                without_pip=int(without_pip),
            ),
        )

    def compiler(self, name: str, status: int = 0) -> None:
        """Puts a C++ compiler there that works, or does not."""
        self._program(self.root / "bin" / name, f"#!/bin/sh\nexit {status}\n")

    def makes(self, *named: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs the script in the system's root, for an environment `venv`."""
        return subprocess.run(
            [str(self.root / "bin" / "sh"), str(SCRIPT), "venv", *named],
            cwd=self.root,
            env={"PATH": str(self.root / "bin"), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def _program(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def system(tmp_path: Path) -> System:
    """A system with a C++ compiler and no Python."""
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        where = next(
            folder / tool
            for folder in map(Path, os.environ["PATH"].split(os.pathsep))
            if (folder / tool).exists()
        )
        (tmp_path / "bin" / tool).symlink_to(where)
    made = System(tmp_path)
    made.compiler("c++")
    return made


def test_the_plain_python_is_taken_where_it_fits(system: System) -> None:
    system.python("bin/python3", "3.12")
    system.python("bin/python3.14", "3.14")
    done = system.makes()
    assert (done.returncode, done.stderr) == (0, "")
    assert "made with python3, which is Python 3.12" in done.stdout
    assert "3.12" in (system.root / "venv" / "bin" / "made-by").read_text()


@pytest.mark.parametrize("plain", ["3.9", "3.15", "3.13 of PyPy", "3.14 without its global lock"])
def test_the_newest_that_fits_is_taken_where_the_plain_one_does_not(
    system: System, plain: str
) -> None:
    system.python("bin/python3", plain)
    system.python("bin/python3.11", "3.11")
    system.python("bin/python3.13", "3.13")
    assert "made with python3.13" in system.makes().stdout


def test_a_name_behind_which_there_is_no_python_is_passed_over(system: System) -> None:
    system.python("bin/python3.13", "")
    system.python("bin/python3.11", "3.11")
    assert "made with python3.11" in system.makes().stdout


def test_the_one_that_is_named_is_taken_before_every_other(system: System) -> None:
    system.python("bin/python3", "3.13")
    system.python("opt/python", "3.11")
    assert "made with opt/python, which is Python 3.11" in system.makes("opt/python").stdout


@pytest.mark.parametrize("kind", ["2.7", "3.10", "3.15", "3.11 of 32 bits"])
def test_one_that_is_named_and_does_not_fit_is_refused_with_what_would(
    system: System, kind: str
) -> None:
    system.python("bin/python3", "3.13")
    system.python("opt/python", kind)
    done = system.makes("opt/python")
    assert done.returncode == 1
    assert f"Python 3.11 to 3.14 is needed, and opt/python is {kind}\n" in done.stderr
    assert "apt install python3 python3-venv" in done.stderr
    assert not (system.root / "venv").exists()


def test_a_system_without_python_and_compiler_is_told_both_at_once(system: System) -> None:
    system.compiler("c++", status=1)
    done = system.makes()
    assert done.returncode == 1
    assert "python3 does not run here" in done.stderr
    assert "no C++ compiler works: c++ g++ clang++" in done.stderr
    assert "apt install g++" in done.stderr


def test_a_python_that_makes_no_environments_is_told_the_package(system: System) -> None:
    system.python("bin/python3", "3.13", without_ensurepip=True)
    done = system.makes()
    assert done.returncode == 1
    assert "python3 cannot make virtual environments" in done.stderr
    assert "apt install python3-venv, or python3.13-venv" in done.stderr
    assert not (system.root / "venv").exists()


def test_any_compiler_that_works_will_do_unless_one_is_named(system: System) -> None:
    system.python("bin/python3", "3.13")
    system.compiler("c++", status=1)
    system.compiler("clang++")
    assert "no C++ compiler works: g++-4 -m32" in system.makes(CXX="g++-4 -m32").stderr
    assert system.makes().returncode == 0


def test_an_environment_that_is_there_stays(system: System) -> None:
    system.python("venv/bin/python", "3.12")
    system.python("bin/python3", "3.13")
    done = system.makes()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_environment_that_was_left_half_made_is_made_anew(system: System) -> None:
    system.python("venv/bin/python", "3.13", without_pip=True)
    system.python("bin/python3", "3.13")
    assert system.makes().returncode == 0
    assert (system.root / "venv" / "bin" / "made-by").exists()


def test_an_environment_of_another_python_than_the_named_one_is_not_filled(
    system: System,
) -> None:
    system.python("venv/bin/python", "3.12")
    system.python("opt/python", "3.13")
    done = system.makes("opt/python")
    assert done.returncode == 1
    assert "venv is of Python 3.12, and opt/python is 3.13" in done.stderr
    assert "make clean" in done.stderr


def test_an_environment_of_a_python_that_does_not_fit_is_not_filled(system: System) -> None:
    system.python("venv/bin/python", "3.10")
    done = system.makes()
    assert done.returncode == 1
    assert "venv is of Python 3.10\n" in done.stderr


def test_a_real_python_says_what_it_is(system: System) -> None:
    done = system.makes(sys.executable)
    assert done.returncode == 0, done.stderr
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"which is Python {version}\n" in done.stdout
    assert (system.root / "venv" / "bin" / "pip").exists()
