"""Selection of facts, languages, relations and templates; the hash depends on the files alone."""

import json
import shutil

import pytest

from kndb.errors import DatasetError, UsageError
from kndb_ingest.datasets import dataset, dataset_facts, read_dataset
from kndb_ingest.datasets.files import fingerprint


def row(relation, number, lang, template, answer="b"):
    return {
        "relation": relation,
        "subject_id": f"Q{number}",
        "object_id": f"Q{number}00",
        "lang": lang,
        "template": f"{template} [X] [Y]",
        "subject": f"subject {number}",
        "answer": answer,
    }


# 30 facts of two relations in English and French, 20 more in English only; 3 templates
ROWS = [
    row(relation, number, lang, template)
    for relation in ("P30", "P36")
    for number in range(25)
    for lang in ("en", "fr")
    for template in ("c", "a", "b")
    if lang == "en" or number < 15
]


def write(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "facts.jsonl", ROWS)


def facts_by_lang(dataset):
    return {
        lang: {prompt.fact for prompt in dataset.prompts if prompt.lang == lang}
        for lang in ("en", "fr")
    }


def test_everything_comes_sorted(path):
    prompts = read_dataset(path).prompts
    assert len(prompts) == len(ROWS)
    keys = [(p.fact.relation_id, p.fact.subject_id, p.fact.object_id, p.lang) for p in prompts]
    assert keys == sorted(keys)
    assert [prompt.template[0] for prompt in prompts] == ["c", "a", "b"] * (len(ROWS) // 3)


def test_langs_and_relations(path):
    dataset = read_dataset(path, langs=["fr"], relations=["P36"])
    assert {(p.lang, p.fact.relation_id) for p in dataset.prompts} == {("fr", "P36")}
    assert len(dataset_facts(dataset)) == 15
    assert [relation.relation_id for relation in dataset.relations] == ["P36"]


def test_limit_takes_the_same_facts_in_every_language(path):
    dataset = read_dataset(path, limit=10)
    facts = facts_by_lang(dataset)
    assert len(facts["en"]) == 10
    assert facts["en"] == facts["fr"]


def test_limit_falls_back_on_facts_of_fewer_languages(path):
    facts = facts_by_lang(read_dataset(path, limit=40))
    assert (len(facts["en"]), len(facts["fr"])) == (40, 30)


def test_limit_prefers_facts_that_can_be_used(tmp_path):
    rows = [row("P36", number, "en", "a", answer="" if number < 9 else "b") for number in range(10)]
    dataset = read_dataset(write(tmp_path / "facts.jsonl", rows), limit=1)
    assert [fact.subject_id for fact in dataset_facts(dataset)] == ["Q9"]


def test_a_larger_sample_holds_the_smaller(path):
    small, large = (set(dataset_facts(read_dataset(path, limit=n))) for n in (5, 12))
    assert small < large


def test_the_seed_chooses(path):
    first, again, other = (dataset_facts(read_dataset(path, limit=10, seed=s)) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_order_of_facts_in_the_file_does_not_matter(path, tmp_path):
    by_fact = [ROWS[start : start + 3] for start in range(0, len(ROWS), 3)]
    backwards = write(tmp_path / "other.jsonl", [r for rows in reversed(by_fact) for r in rows])
    assert (
        read_dataset(backwards, limit=10, templates=2).prompts
        == read_dataset(path, limit=10, templates=2).prompts
    )


def test_templates_are_the_first_of_the_relation(path):
    dataset = read_dataset(path, templates=2)
    assert {prompt.template[0] for prompt in dataset.prompts} == {"c", "a"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"langs": ["en", "eo"]}, "no language 'eo'; it has en, fr."),
        ({"relations": ["P1", "P36"]}, "no relation 'P1'; it has P30, P36."),
        ({"limit": 0}, "limit is 0; give at least 1"),
        ({"templates": -1}, "templates is -1; give at least 1"),
    ],
)
def test_wrong_requests(path, options, message):
    with pytest.raises(UsageError) as failure:
        read_dataset(path, **options)
    assert message in str(failure.value)


def test_a_folder_names_what_exists_though_it_is_not_read(tmp_path):
    for lang, name in (("en", "P30"), ("fr", "P36")):
        for folder in ("patterns", "tuples"):
            file = tmp_path / folder / lang / f"{name}.jsonl"
            file.parent.mkdir(parents=True)
            file.write_text("not read")
    with pytest.raises(UsageError, match=r"no language 'eo'; it has en, fr\.$"):
        read_dataset(tmp_path, langs=["eo"])
    with pytest.raises(DatasetError, match=r"has no prompts for en, P36; choose other data\.$"):
        read_dataset(tmp_path, langs=["en"], relations=["P36"])


def test_the_hash_is_of_the_files_alone(path, tmp_path):
    sha256 = read_dataset(path).sha256
    moved = shutil.copy(path, tmp_path / "other-name.jsonl")
    assert read_dataset(moved, langs=["fr"], limit=3).sha256 == sha256
    with path.open("a") as file:
        file.write("\n")
    assert read_dataset(path).sha256 != sha256


def test_a_file_that_changes_while_it_is_read(path, monkeypatch):
    def late(root, files):
        with path.open("a") as file:
            file.write("\n")
        return fingerprint(root, files)

    monkeypatch.setattr(dataset, "fingerprint", late)
    with pytest.raises(DatasetError, match="changed while they were read; wait until they are"):
        read_dataset(path)


def test_the_hash_of_a_folder_is_of_names_and_contents(tmp_path):
    root = tmp_path / "first"
    for folder, text in (("patterns", '{"pattern": "[X] [Y]"}'), ("tuples", TUPLE)):
        for lang in ("en", "fr"):
            (root / folder / lang).mkdir(parents=True)
            (root / folder / lang / "P36.jsonl").write_text(text)
    sha256 = read_dataset(root, langs=["en"]).sha256
    moved = shutil.copytree(root, tmp_path / "second")
    (moved / "README.md").write_text("no data")
    assert read_dataset(moved).sha256 == sha256
    (moved / "tuples/fr/P36.jsonl").write_text(TUPLE + "\n")
    assert read_dataset(moved, langs=["en"]).sha256 != sha256
    shutil.rmtree(moved)
    renamed = shutil.copytree(root, moved)
    (renamed / "patterns/fr").rename(renamed / "patterns/de")
    (renamed / "tuples/fr").rename(renamed / "tuples/de")
    assert read_dataset(renamed).sha256 != sha256


TUPLE = '{"sub_uri": "Q1", "obj_uri": "Q2", "sub_label": "a", "obj_label": "b", "lineid": 0}'
