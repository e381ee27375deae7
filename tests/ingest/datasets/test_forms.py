"""Each format, read from small hand-written folders and files."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kndb.errors import DatasetError
from kndb.facts import Fact, Prompt, Relation
from kndb_ingest.datasets import dataset_facts, read_dataset, relation_labels
from kndb_ingest.datasets.flat import COLUMNS
from kndb_ingest.datasets.formats import FORMATS
from kndb_ingest.datasets.relation_labels import relation_label
from kndb_ingest.prompts import prompt_problem

FRANCE = Fact("P36", "Q142", "Q90")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def write_lines(path, *rows):
    write(path, "".join(json.dumps(row) + "\n" for row in rows))


def triple(subject_id, subject, object_id, answer, line=0):
    return {
        "sub_uri": subject_id,
        "obj_uri": object_id,
        "sub_label": subject,
        "obj_label": answer,
        "lineid": line,
    }


def test_mpararel(tmp_path):
    for lang, patterns, subject in (
        ("en", ["The capital of [X] is [Y].", "[X]'s capital, [Y]"], "Germany"),
        ("de", ["[Y] ist die Hauptstadt von [X]."], "Deutschland"),
    ):
        write_lines(tmp_path / f"patterns/{lang}/P36.jsonl", *({"pattern": p} for p in patterns))
        write_lines(tmp_path / f"tuples/{lang}/P36.jsonl", triple("Q183", subject, "Q64", "Berlin"))
    write_lines(tmp_path / "tuples/en/P37.jsonl", triple("Q183", "Germany", "Q188", "German"))

    dataset = read_dataset(tmp_path)

    fact = Fact("P36", "Q183", "Q64")
    assert dataset.name == tmp_path.name
    assert dataset.format == "mpararel"
    assert dataset.relations == (Relation("P36", "capital"),)  # P37 has no patterns
    assert dataset.prompts == (
        Prompt(fact, "de", "[Y] ist die Hauptstadt von [X].", "Deutschland", "Berlin"),
        Prompt(fact, "en", "The capital of [X] is [Y].", "Germany", "Berlin"),
        Prompt(fact, "en", "[X]'s capital, [Y]", "Germany", "Berlin"),
    )
    assert dataset_facts(dataset) == (fact,)


def test_pararel(tmp_path):
    patterns = tmp_path / "pattern_data/graphs_json"
    vocabulary = tmp_path / "trex_lms_vocab"
    write_lines(
        patterns / "P36.jsonl", {"pattern": "The capital of [X] is [Y] .", "lemma": "capital"}
    )
    write_lines(
        vocabulary / "P36.jsonl", {"sub_label": "Peru", "obj_label": "New Lima", "uuid": "41-68"}
    )
    write_lines(vocabulary / "P31.jsonl", {"sub_label": "a", "obj_label": "b", "uuid": "1"})

    dataset = read_dataset(tmp_path)

    assert dataset.format == "pararel"
    fact = Fact("P36", "41-68", "New-Lima")
    assert dataset.prompts == (
        Prompt(fact, "en", "The capital of [X] is [Y] .", "Peru", "New Lima"),
    )


def mlama_folder(root):
    templates = [
        {"relation": "P36", "template": "The capital of [X] is [Y].", "label": "capital"},
        {"relation": "P19", "template": "[X] was born in [Y]."},
    ]
    write_lines(root / "en/templates.jsonl", *templates)
    write_lines(root / "en/P36.jsonl", triple("Q142", "France", "Q90", "Paris"))
    write_lines(root / "eo/P36.jsonl", triple("Q142", "Francio", "Q90", "Parizo"))
    write_lines(root / "fr/templates.jsonl", {"relation": "P36", "template": "[Y], [X]"})
    write_lines(root / "fr/P36.jsonl", triple("Q142", "France", "Q90", "Paris"))


def test_mlama(tmp_path):
    mlama_folder(tmp_path)
    dataset = read_dataset(tmp_path)
    assert dataset.format == "mlama"
    assert dataset.relations == (Relation("P36", "capital"),)
    assert dataset.prompts == (
        Prompt(FRANCE, "en", "The capital of [X] is [Y].", "France", "Paris"),
        Prompt(FRANCE, "fr", "[Y], [X]", "France", "Paris"),
    )


def test_one_language_of_mlama(tmp_path):
    mlama_folder(tmp_path)
    dataset = read_dataset(tmp_path / "fr")
    assert [prompt.lang for prompt in dataset.prompts] == ["fr"]


EN_TSV = (
    "Prompt\tAns\tCandidate Ans\tSubject\r\n"
    "Charles II of Spain was born in <mask>.\tMadrid\tParis, Madrid\tCharles II of Spain\r\n"
    "Paris is the capital of <mask>.\tFrance\tFrance, Peru\tParis\r\n"
)
ZH_TSV = (
    "Prompt\tAns\tCandidate\tAns\tSubject\r\n"
    "卡洛斯二世生于<mask>。\t马德里\t巴黎, 马德里\t卡洛斯二世\r\n"
    "法国的首都是巴黎，<mask>。\t法国\t法国\t巴黎城\r\n"
)


def test_bmlama(tmp_path):
    write(tmp_path / "en.tsv", EN_TSV)
    write(tmp_path / "zh.tsv", ZH_TSV)

    dataset = read_dataset(tmp_path)

    charles = Fact("x-was-born-in-y", "Charles-II-of-Spain", "Madrid")
    paris = Fact("x-is-the-capital-of-y", "Paris", "France")
    assert dataset.format == "bmlama"
    assert dataset.relations[1] == Relation("x-was-born-in-y", "[X] was born in [Y].")
    assert dataset.prompts == (
        Prompt(paris, "en", "[X] is the capital of [Y].", "Paris", "France"),
        # the sentence does not contain the subject verbatim, so there is no [X]
        Prompt(paris, "zh", "法国的首都是巴黎，[Y]。", "巴黎城", "法国"),
        Prompt(charles, "en", "[X] was born in [Y].", "Charles II of Spain", "Madrid"),
        Prompt(charles, "zh", "[X]生于[Y]。", "卡洛斯二世", "马德里"),
    )
    assert prompt_problem(dataset.prompts[1]) == "no [X] placeholder"


def test_bmlama_facts_keep_their_identifiers_when_english_is_not_asked_for(tmp_path):
    write(tmp_path / "en.tsv", EN_TSV)
    write(tmp_path / "zh.tsv", ZH_TSV)
    both = read_dataset(tmp_path)
    chinese = read_dataset(tmp_path, langs=["zh"])
    assert dataset_facts(chinese) == dataset_facts(both)


def test_bmlama_subject_that_is_also_part_of_a_word(tmp_path):
    row = "ose se compose de <mask>.\tcarbone\tcarbone\tose\n"
    write(tmp_path / "fr.tsv", EN_TSV.partition("\r\n")[0] + "\n" + row)
    (prompt,) = read_dataset(tmp_path / "fr.tsv").prompts
    assert prompt.template == "[X] se compose de [Y]."


def test_bmlama_file_alone(tmp_path):
    write(tmp_path / "zh.tsv", ZH_TSV)
    dataset = read_dataset(tmp_path / "zh.tsv")
    assert {prompt.lang for prompt in dataset.prompts} == {"zh"}
    assert Fact("x-生于-y", "卡洛斯二世", "马德里") in dataset_facts(dataset)
    assert {relation.relation_id for relation in dataset.relations} == {"bmlama", "x-生于-y"}


def amig(answer, *sentences, relation="P39"):
    return {"sentences": sentences, "relation_name": relation, "obj_label": answer}


def test_amig_file(tmp_path):
    entries = {"e0f7": amig("chief bishop", "Law is [MASK] .", "Law works as [MASK].")}
    write(tmp_path / "pararel_expanded.json", json.dumps(entries))

    dataset = read_dataset(tmp_path / "pararel_expanded.json")

    fact = Fact("P39", "e0f7", "chief-bishop")
    assert (dataset.name, dataset.format) == ("pararel_expanded", "amig")
    assert dataset.prompts == (
        Prompt(fact, "en", "Law is [Y] .", "", "chief bishop"),
        Prompt(fact, "en", "Law works as [Y].", "", "chief bishop"),
    )
    assert dataset.prompts[0].text == "Law is [MASK] ."
    assert prompt_problem(dataset.prompts[0]) is None


def test_an_amig_folder_is_of_files_named_by_their_language(tmp_path):
    entry = {"e0": amig("bishop", "Law is [MASK] .")}
    write(tmp_path / "en.json", json.dumps(entry))
    write(tmp_path / "old_results.json", json.dumps(entry))
    assert len(read_dataset(tmp_path).prompts) == 1


@pytest.mark.parametrize("form", ["folder", "bilingual file"])
def test_amig_languages_share_their_facts(tmp_path, form):
    english, chinese = amig("bishop", "Law is [MASK] ."), amig("主教", "劳是[MASK]。")
    if form == "folder":
        write(tmp_path / "en.json", json.dumps({"e0": english}))
        write(tmp_path / "zh.json", json.dumps({"e0": chinese}))
        path = tmp_path
    else:
        path = tmp_path / "both.json"
        write(path, json.dumps({"e0": {"zh": chinese, "en": english}}))

    dataset = read_dataset(path)

    fact = Fact("P39", "e0", "bishop")
    assert dataset.prompts == (
        Prompt(fact, "en", "Law is [Y] .", "", "bishop"),
        Prompt(fact, "zh", "劳是[Y]。", "", "主教"),
    )


def counterfact(prompt, subject, answer, *paraphrases):
    return {
        "case_id": 0,
        "requested_rewrite": {
            "prompt": prompt,
            "relation_id": "P103",
            "target_new": {"str": "English", "id": "Q1860"},
            "target_true": {"str": answer, "id": "Q150"},
            "subject": subject,
        },
        "paraphrase_prompts": paraphrases,
        "neighborhood_prompts": ["The mother tongue of somebody else is"],
    }


def test_counterfact(tmp_path):
    path = tmp_path / "counterfact.json"
    record = counterfact(
        "The mother tongue of {} is", "Danielle Darrieux", "French", "Danielle Darrieux, who speaks"
    )
    write(path, json.dumps([record]))

    dataset = read_dataset(path)

    fact = Fact("P103", "Danielle-Darrieux", "Q150")
    assert dataset.format == "counterfact"
    assert dataset.prompts == (
        Prompt(fact, "en", "The mother tongue of [X] is [Y]", "Danielle Darrieux", "French"),
        Prompt(fact, "en", "[X], who speaks [Y]", "Danielle Darrieux", "French"),
    )


def test_counterfact_records_of_one_fact_are_put_together(tmp_path):
    path = tmp_path / "counterfact.json"
    prompts = ("{} speaks", "{}, a native speaker of", "{} speaks")
    write(path, json.dumps([counterfact(prompt, "Darrieux", "French") for prompt in prompts]))
    dataset = read_dataset(path)
    assert [p.template for p in dataset.prompts] == [
        "[X] speaks [Y]",
        "[X], a native speaker of [Y]",
    ]


def test_counterfact_in_chinese_has_no_space_before_the_object(tmp_path):
    write(tmp_path / "zh.json", json.dumps([counterfact("{}的母语是", "达里厄", "法语")]))
    dataset = read_dataset(tmp_path / "zh.json")
    assert [(p.lang, p.text) for p in dataset.prompts] == [("zh", "达里厄的母语是[MASK]")]


ROWS = [
    {
        "relation": "P36",
        "relation_label": "capital",
        "subject_id": "Q142",
        "object_id": "Q90",
        "lang": lang,
        "template": template,
        "subject": "France",
        "answer": "Paris",
    }
    for lang, template in (
        ("en", "The capital of [X] is [Y]."),
        ("en", "[Y], the “capital” of [X],\u2028is a city."),
        ("fr", "[Y] est la capitale de [X]."),
    )
]


def write_rows(path, rows=ROWS):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, rows[0])
            table.writeheader()
            table.writerows(rows)
    else:
        write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_own_form(tmp_path, suffix):
    dataset = read_dataset(write_rows(tmp_path / f"facts.{suffix}"))
    assert (dataset.name, dataset.format) == ("facts", "kndb")
    assert dataset.relations == (Relation("P36", "capital"),)
    assert dataset.prompts == tuple(
        Prompt(FRANCE, row["lang"], row["template"], "France", "Paris") for row in ROWS
    )


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_own_form_is_known_by_its_content(tmp_path, suffix):
    named = write_rows(tmp_path / f"facts.{suffix}")
    unnamed = named.rename(tmp_path / "facts.data")
    assert read_dataset(unnamed).prompts == read_dataset(write_rows(named)).prompts


@pytest.mark.parametrize(("relation", "label"), [("P36", "capital"), ("is-near", "is-near")])
def test_own_form_without_labels_takes_wikidatas_or_the_identifier(tmp_path, relation, label):
    rows = [{k: v for k, v in row.items() if k != "relation_label"} for row in ROWS]
    rows = [row | {"relation": relation} for row in rows]
    dataset = read_dataset(write_rows(tmp_path / "facts.jsonl", rows))
    assert dataset.relations == (Relation(relation, label),)


def test_labels_of_relations_are_complete():
    labels = Path(relation_labels.__file__).with_suffix(".tsv").read_text(encoding="utf-8")
    ids = [line.split("\t") for line in labels.splitlines() if line[0] != "#"]
    assert len(ids) > 40
    for relation_id, label in ids:
        assert relation_label(relation_id) == label == label.strip() != ""
    assert len({relation_id for relation_id, _ in ids}) == len(ids)


def test_every_form_has_a_name_of_its_own():
    names = [form.name for form in FORMATS]
    assert names == ["mpararel", "pararel", "mlama", "bmlama", "amig", "counterfact", "kndb"]


def test_byte_order_mark_line_ends_and_blank_lines_are_no_content(tmp_path):
    plain = write_rows(tmp_path / "plain.jsonl")
    windows = tmp_path / "windows.jsonl"
    write(windows, "\ufeff" + plain.read_text("utf-8").replace("\n", "\r\n\r\n"))
    assert read_dataset(windows).prompts == read_dataset(plain).prompts


@pytest.mark.parametrize("mark", [";", "\t"])
def test_csv_with_other_marks(tmp_path, mark):
    path = write_rows(tmp_path / "facts.csv")
    expected = read_dataset(path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    other = tmp_path / "other.csv"
    with other.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=mark, quoting=csv.QUOTE_ALL).writerows(rows)
    assert read_dataset(other).prompts == expected.prompts


def test_csv_with_byte_order_mark_and_windows_line_ends(tmp_path):
    path = write_rows(tmp_path / "facts.csv")
    expected = read_dataset(path).prompts
    write(path, "\ufeff" + path.read_bytes().decode() + "\r\n")
    assert read_dataset(path).prompts == expected


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_useless_prompts_are_kept_for_the_report(tmp_path, suffix):
    rows = [ROWS[0] | {"answer": None}, ROWS[1] | {"template": "The capital of [X]"}]
    dataset = read_dataset(write_rows(tmp_path / f"facts.{suffix}", rows))
    problems = sorted(str(prompt_problem(prompt)) for prompt in dataset.prompts)
    assert problems == ["answer missing", "no [Y] placeholder"]


def test_duplicates_are_dropped(tmp_path):
    once = write_rows(tmp_path / "once.jsonl")
    twice = write_rows(tmp_path / "twice.jsonl", [*ROWS, *ROWS])
    assert read_dataset(twice).prompts == read_dataset(once).prompts


def test_an_unknown_form_is_told_the_known_ones(tmp_path):
    write(tmp_path / "notes.txt", "nothing of the kind")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(DatasetError) as failure:
            read_dataset(path)
        assert all(form.form in str(failure.value) for form in FORMATS)


def test_nothing_there(tmp_path):
    with pytest.raises(DatasetError, match=r"no data set at .*nowhere"):
        read_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "\n", f"{','.join(COLUMNS)}\n"])
def test_an_empty_data_set(tmp_path, text):
    write(tmp_path / "facts.csv", text)
    with pytest.raises(DatasetError, match=r"facts.csv' has no prompts; choose other data\.$"):
        read_dataset(tmp_path / "facts.csv")
    with pytest.raises(DatasetError, match=r"facts.csv' has no prompts for en; choose other"):
        read_dataset(tmp_path / "facts.csv", langs=["en"])
