"""What every kind of record keeps to that figures are imported from."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_controller.exchange.reading import FORMS
from odllm_controller.exchange.record_form import RecordFile, RecordForm
from odllm_controller.store import Store

WORDS = st.text(max_size=8)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.lists(st.floats(), max_size=3)
)
each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.what)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> RecordFile:
    """A file whose rows can have the columns of a store."""
    store = Store.open(tmp_path_factory.mktemp("store") / "new.duckdb")
    return RecordFile("figures.json", store.imported_types(), "laptop")


def outcome(form: RecordForm, record: Mapping[str, object], file: RecordFile) -> set[str] | str:
    """The columns of the row that a record becomes, or why it is refused."""
    try:
        return set(form.reader(file)(record).row)
    except ValueError as error:
        return str(error)


@each_form
def test_its_example_is_a_row_that_a_store_takes(
    form: RecordForm, file: RecordFile, tmp_path: Path
) -> None:
    found = form.reader(file)(form.example)
    store = Store.open(tmp_path / "odllm.duckdb")
    store.add_imported([found.row], found.samples, found.moved_from)
    assert {"row_id", "origin", "device", "model", "status"} <= set(found.row) <= set(file.types)


@each_form
@given(data=st.data())
def test_whatever_a_record_holds_is_a_row_or_refused_in_a_line(
    form: RecordForm, file: RecordFile, data: st.DataObject
) -> None:
    names = st.sampled_from(sorted({*form.fields, *form.example})) | WORDS
    record = {**form.example, **data.draw(st.dictionaries(names, VALUES, max_size=6))}
    found = outcome(form, record, file)
    if isinstance(found, str):
        assert found
        assert "\n" not in found
    else:
        assert found <= set(file.types)


@each_form
def test_a_record_without_figures_is_refused(form: RecordForm, file: RecordFile) -> None:
    for name in form.fields:
        assert form.knows({name: "x"})
        assert isinstance(outcome(form, {name: "x"}, file), str)


@each_form
def test_a_record_of_one_kind_is_of_no_kind_before_it(form: RecordForm) -> None:
    assert next(each for each in FORMS if each.knows(form.example)) is form
