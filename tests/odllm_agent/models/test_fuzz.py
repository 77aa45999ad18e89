"""Mutated files and everything of the agent that reads them; `make fuzz` reads many more."""

import re
from pathlib import Path

import pytest

from tests.fuzz.campaign import Campaign
from tests.fuzz.sandbox import surroundings
from tests.fuzz.targets import IN_OTHERS, IN_PROCESS, Subject

SEED = 1


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in surroundings(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_a_mutated_file_is_described_or_refused(sandbox: Path) -> None:
    tally = Campaign(SEED, sandbox).run(range(300))
    assert tally.breaches == []
    assert {name for name, _ in tally.outcomes} == set(IN_PROCESS)
    assert {ended for _, ended in tally.outcomes} == {"ok", "ModelInvalid"}
    assert len({kind for kind, _ in tally.kinds}) > 8


def test_a_mutated_file_costs_only_the_process_that_reads_it(sandbox: Path) -> None:
    tally = Campaign(SEED, sandbox).run([1, 6], others_every=1)
    assert tally.breaches == []
    assert {name for name, _ in tally.outcomes} == {*IN_PROCESS, *IN_OTHERS}
    assert any(ended != "ok" for name, ended in tally.outcomes if name in IN_OTHERS)


def _crash(_: Subject) -> None:
    raise KeyError("general.architecture")


def _escape(subject: Subject) -> None:
    (subject.cache.root.parent / "here" / "escaped").write_text("out")


def _litter(subject: Subject) -> None:
    subject.cache.root.mkdir(exist_ok=True)
    (subject.cache.root / "left.part").write_text("half")


@pytest.mark.parametrize(
    ("target", "told"),
    [(_crash, "raised .*KeyError"), (_escape, "escaped was changed"), (_litter, "part is left")],
)
def test_what_must_not_be_is_seen(sandbox: Path, target: object, told: str) -> None:
    campaign = Campaign(SEED, sandbox, {"read": target}, {})  # type: ignore[dict-item]
    breaches = "\n".join(campaign.run([0]).breaches)
    assert "mutation 0" in breaches
    assert re.search(told, breaches, re.DOTALL)
