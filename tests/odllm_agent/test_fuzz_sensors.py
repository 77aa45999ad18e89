"""Machines whose sensors were spoilt here and there; `make fuzz` reads many more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import sensors, sysfs_tree
from tests.fuzz.sensors import read_one
from tests.fuzz.sysfs_reader import Reader
from tests.fuzz.sysfs_tree import Tree

SEED = 1


def test_a_spoilt_file_neither_hides_nor_falsifies_what_the_others_tell(tmp_path: Path) -> None:
    read = [read_one(SEED, which, tmp_path / "m") for which in range(40)]
    assert [told for _, wrong in read for told in wrong] == []
    assert {way for tree, _ in read for way in tree.spoilt.values()} >= set(sysfs_tree.WAYS)


def _crash(tree: Tree, reader: Reader) -> Iterator[str]:
    yield dict[str, str]()["energy_uj"]


def _misread(tree: Tree, reader: Reader) -> Iterator[str]:
    yield "the package is not told"


@pytest.mark.parametrize(("check", "told"), [(_crash, "KeyError"), (_misread, "is not told")])
def test_what_must_not_be_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: sensors.Check, told: str
) -> None:
    monkeypatch.setattr(sensors, "CHECKS", (check,))
    _, (wrong,) = read_one(SEED, 0, tmp_path / "m")
    assert told in wrong
