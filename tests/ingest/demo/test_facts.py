"""The demo facts: their contents, and that the same version of Babel builds the same file."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import pytest

from kndb_ingest.demo import facts_path

# The names change with CLDR; the file was built with this release of Babel.
BABEL = "2.18.0"
LANGS = {"en", "zh", "es", "ru"}

Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    text = facts_path().read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_same_babel_builds_the_same_file() -> None:
    babel = pytest.importorskip("babel")
    if babel.__version__ != BABEL:
        pytest.skip(f"demo.jsonl was built with Babel {BABEL}")
    from kndb_ingest.demo.build_facts import render

    assert render() == facts_path().read_text(encoding="utf-8")


def test_well_known_facts_are_there_in_every_language(rows: list[Row]) -> None:
    answers = {
        (row["relation"], row["subject_id"], row["object_id"], row["lang"]): row["answer"]
        for row in rows
    }
    assert answers["P36", "Q142", "Q90", "en"] == "Paris"
    assert answers["P36", "Q142", "Q90", "zh"] == "巴黎"
    assert answers["P36", "Q148", "Q956", "es"] == "Pekín"
    assert answers["P37", "Q155", "Q5146", "ru"] == "португальский"
    assert answers["P38", "Q39", "Q25344", "en"] == "Swiss franc"
    assert answers["P30", "Q114", "Q15", "zh"] == "非洲"


def test_every_fact_is_said_in_every_language_by_every_template(rows: list[Row]) -> None:
    templates = defaultdict(set)
    for row in rows:
        templates[row["relation"], row["lang"]].add(row["template"])
    said = Counter((row["relation"], row["subject_id"], row["lang"]) for row in rows)
    assert {lang for _, lang in templates} == LANGS
    assert all(said[key] == len(templates[key[0], key[2]]) for key in said)
    assert len(said) == len(LANGS) * len({(r["relation"], r["subject_id"]) for r in rows})


def test_most_templates_end_in_the_object_and_some_do_not(rows: list[Row]) -> None:
    templates = defaultdict(set)
    for row in rows:
        templates[row["relation"], row["lang"]].add(row["template"])
    for texts in templates.values():
        last = [text.rstrip(".。").endswith("[Y]") for text in texts]
        assert len(texts) >= 3
        assert 2 <= sum(last) < len(texts)


def test_every_row_is_complete_and_said_once(rows: list[Row]) -> None:
    assert all(all(value == value.strip() != "" for value in row.values()) for row in rows)
    assert all(row["template"].count("[X]") == row["template"].count("[Y]") == 1 for row in rows)
    assert len({json.dumps(row, sort_keys=True) for row in rows}) == len(rows)


def test_a_subject_has_one_object_for_each_relation(rows: list[Row]) -> None:
    objects = defaultdict(set)
    for row in rows:
        objects[row["relation"], row["subject_id"]].add(row["object_id"])
    assert 600 <= len(objects) <= 750
    assert all(len(found) == 1 for found in objects.values())
