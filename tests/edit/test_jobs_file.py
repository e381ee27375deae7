"""Files of edits: what cannot be read is refused as a whole, what cannot be made is skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kndb.edit.jobs_file import count_edits, read_edits
from kndb.edit.plan import EditSettings
from kndb.edit.request import Job
from kndb.errors import DatasetError

SETTINGS = EditSettings(mode="erase")
GOOD = b'{"fact": "P36:Q142", "mode": "erase"}'


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"fact": ' + b"[" * 100_000, "line 2 is not JSON that can be read"),
        (b'{"fact": ' + b"9" * 5000 + b"}", "line 2 is not JSON that can be read"),
        (b'{"fact": ', "line 2 is not JSON: Expecting value"),
        (b"\xff", "is not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "edits.jsonl"
    path.write_bytes(GOOD + b"\n" + data)
    with pytest.raises(DatasetError, match=problem):
        count_edits(path)


@pytest.mark.parametrize("data", [b"[" * 100_000, b"[" + b"9" * 5000 + b"]", b"[{}", b"[\xff]"])
def test_a_list_that_cannot_be_read_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "edits.json"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"edits\.json is not"):
        count_edits(path)


def test_a_name_that_is_not_text_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"f\xff.jsonl")
    with pytest.raises(DatasetError, match="cannot be read: No such file"):
        count_edits(path)
    path.write_bytes(GOOD)
    assert count_edits(path) == 1


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("7", "not a JSON object"),
        ("{}", "lacks 'fact'"),
        ('{"fact": ["a"]}', "fact is not a text: ['a']"),
        ('{"fact": null}', "fact is not a text: None"),
        ('{"fact": "a", "relation": ["P36"]}', "relation is not a text: ['P36']"),
        ('{"fact": "a", "mode": ["a"]}', "mode is not a text: ['a']"),
        ('{"fact": "a", "neurons": 5}', "neurons is not a text: 5"),
        ('{"fact": "a", "neurons": "%s:1"}' % ("9" * 5000), "names no neurons"),
        ('{"fact": "a", "neurons": "all-layers:%s"}' % ("9" * 5000), "has no valid number"),
        ('{"fact": "a", "target": 5}', "target is not a text: 5"),
        ('{"fact": "a", "target": "\\ud800"}', "is not valid Unicode"),
        ('{"fact": "a", "target": "b", "target_lang": ["en"]}', "target_lang is not a text"),
        ('{"fact": "a", "target": "b", "labels": [1]}', "labels is not an object: [1]"),
        ('{"fact": "a", "target": "b", "labels": {"zh": 5}}', "a label is not a text: 5"),
        ('{"fact": "a", "target": "b", "lambda": [1]}', "lambda is not a number: [1]"),
        ('{"fact": "a", "target": "b", "lambda": NaN}', "--lambda is a finite number"),
        ('{"fact": "a", "target": "b", "lambda": "%s"}' % ("9" * 5000), "--lambda is a finite"),
        ('{"fact": "a", "langs": 5}', "langs is not a list: 5"),
        ('{"fact": "a", "langs": [5]}', "a language is not a text: 5"),
        ('{"fact": "a", "colour": "red"}', "unknown field 'colour'"),
        (
            '{"requested_rewrite": {"subject": 1, "relation_id": "P", "target_new": {"str": "a"}}}',
            "subject is not a text: 1",
        ),
        ('{"requested_rewrite": 5}', "not subscriptable"),
    ],
)
def test_a_record_that_is_no_edit_is_skipped_with_the_reason(
    tmp_path: Path, record: str, reason: str
) -> None:
    path = tmp_path / "edits.jsonl"
    path.write_bytes(record.encode() + b"\n" + GOOD)
    bad, good = read_edits(path, SETTINGS)
    assert isinstance(bad, str)
    assert bad.startswith("line 1: ")
    assert reason in bad
    assert "\n" not in bad
    assert good == Job("P36:Q142", SETTINGS)
