"""What is shipped: pinned versions, and a wheel with everything in it."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)([^\\]*)", re.MULTILINE)


def pins(name: str) -> set[tuple[str, str, str]]:
    found = PIN.findall((ROOT / name).read_text())
    return {(package, version, marker.strip()) for package, version, marker in found}


def test_the_lock_and_the_constraints_agree() -> None:
    assert pins("requirements.lock") == pins("constraints.txt")
    assert len(pins("constraints.txt")) > 50


def test_every_pin_of_the_lock_has_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert all("--hash=sha256:" in part for part in PIN.split(text)[4::4])


def test_no_pin_names_a_server() -> None:
    for name in ("requirements.lock", "constraints.txt", "pyproject.toml"):
        assert "://" not in (ROOT / name).read_text()


def test_every_pinned_version_is_the_installed_one() -> None:
    frozen = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installed = {
        re.sub(r"[-_.]+", "-", name).lower(): version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)$", frozen, re.MULTILINE)
    }
    for package, version, marker in pins("constraints.txt"):
        if not marker and package in installed:
            assert installed[package] == version, package


def test_the_wheel_carries_configs_models_and_migrations(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), ROOT],
        check=True,
    )
    (wheel,) = tmp_path.glob("odllm-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    shipped = [
        "conf/config.yaml",
        "conf/experiment/sweep.yaml",
        "odllm_agent/models/reference/ladder.json",
        "odllm_agent/models/reference/heldout.txt",
        "app/explorer.py",
    ]
    assert set(shipped) <= set(names)
    assert sum(name.endswith("-F16.gguf") for name in names) == 3
    assert any(re.fullmatch(r"odllm_controller/store/migrations/.*\.sql", name) for name in names)
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "training"))]
