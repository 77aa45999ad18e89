"""What is shipped: pinned versions, and a wheel with everything in it."""

import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
NOT_SOURCE = shutil.ignore_patterns(".*", "build", "results", "*.egg-info", "__pycache__")


def text(name: str) -> str:
    """What is in a file of the checkout."""
    return (ROOT / name).read_text()


def pins(name: str) -> set[str]:
    """The requirements of a file, each with its marker and without its hashes and extras."""
    lines = text(name).replace("\\\n", " ").splitlines()
    # Constraints may not name extras.
    return {str(Requirement(re.sub(r"\[.*?\]", "", line.split("--hash")[0]))) for line in lines}


def test_the_lock_and_the_constraints_agree() -> None:
    assert pins("requirements.lock") == pins("constraints.txt")
    assert len(pins("constraints.txt")) > 50


def test_every_pin_of_the_lock_has_hashes() -> None:
    lines = text("requirements.lock").replace("\\\n", " ").splitlines()
    assert all("--hash=sha256:" in line for line in lines)


def test_no_pin_names_a_server() -> None:
    for name in ("requirements.lock", "constraints.txt", "pyproject.toml"):
        assert "://" not in text(name)


def test_every_pinned_version_is_the_installed_one() -> None:
    for pin in map(Requirement, pins("constraints.txt")):
        if pin.marker is None or pin.marker.evaluate():
            assert metadata.version(pin.name) in pin.specifier, pin


def test_the_wheel_carries_configs_models_and_migrations(tmp_path: Path) -> None:
    # A build leaves its own folders in the source, and a later one would ship what they hold.
    source = shutil.copytree(ROOT, tmp_path / "source", ignore=NOT_SOURCE)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, source],
        check=True,
    )
    (wheel,) = tmp_path.glob("odllm-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    shipped = [
        "odllm_conf/config.yaml",
        "odllm_conf/experiment/sweep.yaml",
        "odllm_agent/models/reference/ladder.json",
        "odllm_agent/models/reference/heldout.txt",
        "odllm_app/shell/explorer.py",
        "odllm_app/report/templates/page.html",
    ]
    assert set(shipped) <= set(names)
    assert sum(name.endswith("-F16.gguf") for name in names) == 3
    assert any(re.fullmatch(r"odllm_controller/store/migrations/.*\.sql", name) for name in names)
    assert "odllm_controller/store/views.sql" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {
        "odllm",
        "odllm_agent",
        "odllm_app",
        "odllm_conf",
        "odllm_controller",
    }


def test_the_pins_are_resolved_for_the_oldest_python_that_is_served() -> None:
    told = re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', text("pyproject.toml"))
    served = sorted(map(int, told))
    assert served == list(range(served[0], served[-1] + 1))
    assert f'requires-python = ">=3.{served[0]}"' in text("pyproject.toml")
    assert set(re.findall(r"--python-version (\S+)", text("Makefile"))) == {f"3.{served[0]}"}
