"""The published data sets themselves, if ``KNDB_DATA`` names the folder with the unpacked files."""

import json
import os
from functools import cache
from pathlib import Path

import pytest

from kndb_ingest.datasets import dataset_facts, read_dataset
from kndb_ingest.prompts import prompt_problem

LANGS = ("en", "zh-hans", "fr", "es")


def data(name):
    path = Path(os.environ.get("KNDB_DATA", "nowhere"), name)
    if not path.exists():
        pytest.skip(f"needs {name} in $KNDB_DATA")
    return path


@cache
def tuples_by_lang(root):
    """The number of triples with a pattern in each language, counted without kndb."""
    found = {}
    for lang in LANGS:
        files = (root / "tuples" / lang).glob("*.jsonl")
        said = [f for f in files if (root / "patterns" / lang / f.name).exists()]
        found[lang] = {
            (file.stem, record["sub_uri"], record["obj_uri"])
            for file in said
            for record in map(json.loads, file.read_text("utf-8").splitlines())
        }
    return found


def test_mpararel_has_every_triple():
    root = data("mpararel")
    dataset = read_dataset(root, langs=LANGS)
    for lang, triples in tuples_by_lang(root).items():
        facts = {prompt.fact for prompt in dataset.prompts if prompt.lang == lang}
        assert {(f.relation_id, f.subject_id, f.object_id) for f in facts} == triples


def test_mpararel_sample_is_in_all_four_languages():
    root = data("mpararel")
    shared = set.intersection(*tuples_by_lang(root).values())
    dataset = read_dataset(root, langs=LANGS, limit=len(shared), templates=1)
    assert {(f.relation_id, f.subject_id, f.object_id) for f in dataset_facts(dataset)} == shared
    assert len(dataset.prompts) == 4 * len(shared)


def test_pararel_has_the_facts_of_the_published_neurons():
    published = [json.loads(file.read_text()) for file in data("published_neurons").glob("*.json")]
    facts = dataset_facts(read_dataset(data("pararel"), templates=1))
    assert {fact.subject_id for fact in facts} == {uuid for part in published for uuid in part}


def test_bmlama_is_usable_in_every_language():
    dataset = read_dataset(data("bmlama17"))
    assert {prompt.lang for prompt in dataset.prompts} == {"en", "zh", "fr", "es", "ru"}
    assert len(dataset.relations) == 38
    assert all(prompt_problem(prompt) is None for prompt in dataset.prompts)
