"""Whatever a file holds, a reader returns text that UTF-8 can hold, or one of kndb's errors."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kndb.edit.jobs_file import count_edits, read_edits
from kndb.edit.plan import EditSettings
from kndb.errors import KndbError
from kndb.plain import is_text
from kndb_cli.factcheck.claims_input import opened
from kndb_ingest.datasets import read_dataset
from kndb_ingest.published.files import read_published
from near_files import AMIG, COUNTERFACT, CSV, EDIT, ROW, TSV
from odd_inputs import ODD, broken, files


def one_sentence(error: KndbError) -> None:
    assert str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("facts.jsonl", files(ROW, lines=True)),
        ("facts.csv", broken(CSV)),
        ("en.tsv", broken(TSV)),
        ("amig.json", files(AMIG)),
        ("counterfact.json", files(COUNTERFACT)),
        ("facts.parquet", broken(b"PAR1" + CSV + b"PAR1")),
        ("facts", ODD | st.binary(max_size=50)),
    ],
)
@given(data=st.data())
def test_fact_sets(
    tmp_path: Path, name: str, strategy: st.SearchStrategy[bytes], data: st.DataObject
) -> None:
    path = tmp_path / name
    path.write_bytes(data.draw(strategy))
    try:
        found = read_dataset(path)
    except KndbError as error:
        one_sentence(error)
        return
    for prompt in found.prompts:
        fact = (prompt.fact.relation_id, prompt.fact.subject_id, prompt.fact.object_id)
        texts = (*fact, prompt.lang, prompt.template, prompt.subject, prompt.answer)
        assert all(map(is_text, texts))


@given(content=files({"u1": [[0, 1], [2, 3]]}) | files({"u1": {"neurons": [[0, 1]]}}))
def test_published_neurons(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "neurons.json"
    path.write_bytes(content)
    try:
        read_published([path])
    except KndbError as error:
        one_sentence(error)


@given(content=files(EDIT, lines=True) | files(COUNTERFACT))
def test_files_of_edits(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "edits.jsonl"
    path.write_bytes(content)
    try:
        total = count_edits(path)
        assert len(list(read_edits(path, EditSettings(mode="erase")))) == total
    except KndbError as error:
        one_sentence(error)


@pytest.mark.parametrize("name", ["claims.jsonl", "claims.csv", "claims.txt"])
@given(
    content=files({"claim": "It rains."}, lines=True)
    | broken(b"id,claim\n1,It rains.\n")
    | st.binary(max_size=30)
)
def test_claims(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    try:
        with opened(path) as claims:
            assert all(map(is_text, claims))
    except KndbError as error:
        one_sentence(error)


def test_the_inputs_are_near_enough_to_be_read(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    for name, content in (("facts.jsonl", json.dumps(ROW).encode()), ("facts.csv", CSV)):
        path = tmp_path / name
        path.write_bytes(content)
        assert len(read_dataset(path).prompts) == 1
    assert io.BytesIO(TSV).readline().count(b"\t") == 3
