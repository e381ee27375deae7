"""Errors about malformed input name the file and the line; nothing is returned half-read."""

import json
import os
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kndb.errors import DatasetError
from kndb_ingest.datasets import read_dataset

ROW = {
    "relation": "P36",
    "subject_id": "Q142",
    "object_id": "Q90",
    "lang": "en",
    "template": "The capital of [X] is [Y].",
    "subject": "France",
    "answer": "Paris",
}
GOOD = json.dumps(ROW).encode()
HEADER = ",".join(ROW)
TSV = "Prompt\tAns\tCandidate Ans\tSubject\n"


def changed(**values):
    return json.dumps(ROW | values).encode()


def without(column):
    return json.dumps({k: v for k, v in ROW.items() if k != column}).encode()


def refused(path):
    with pytest.raises(DatasetError) as failure:
        read_dataset(path)
    message = str(failure.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (GOOD[:-1], "not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b'{"a":' * 100_000, "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (without("answer"), "missing columns answer"),
        (changed(answer=7), "'answer' is 7, not a string"),
        (changed(template=["[X]"]), "'template' is ['[X]'], not a string"),
        (changed(lang=""), "'lang' is empty"),
        (changed(relation=None), "'relation' is empty"),
        (changed(subject_id=" "), "'subject_id' is empty"),
        (changed(object_id=""), "'object_id' is empty"),
        (GOOD.replace(b"Paris", b"\\ud800"), "'answer' is not valid Unicode"),
        (GOOD.replace(b"Paris", b"\xff"), "the text is not UTF-8"),
    ],
)
def test_json_lines(tmp_path, line, problem):
    path = tmp_path / "facts.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD + b"\r\n\r\n" + line + b"\n" + GOOD)
    assert refused(path).startswith(f"facts.jsonl line 3: {problem}")


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        (f"{HEADER}\nP36,Q142", "line 2", "2 columns instead of 7"),
        (f"{HEADER}\nP36,Q142,Q90,en,t,F,P,more", "line 2", "8 columns instead of 7"),
        (f'{HEADER}\n"P36,Q142,Q90,en,t,F,P\n', "line 2", "not CSV"),
        (f"{HEADER}\n\nP36,,Q90,en,t,F,P\n", "line 3", "'subject_id' is empty"),
        (
            "relation,lang,template\n",
            "line 1",
            "missing columns subject_id, object_id, subject, answer "
            "(the columns are relation, lang, template)",
        ),
    ],
)
def test_csv(tmp_path, text, place, problem):
    path = tmp_path / "facts.csv"
    path.write_text(text, "utf-8")
    assert refused(path).startswith(f"facts.csv {place}: {problem}")


def test_parquet(tmp_path):
    path = tmp_path / "facts.parquet"
    path.write_bytes(b"PAR1 and then nothing that belongs there PAR1")
    assert "Parquet file is damaged" in refused(path)


def test_parquet_with_text_that_is_not_utf8(tmp_path):
    columns = {name: pa.array([value]) for name, value in ROW.items()}
    offsets = pa.py_buffer(struct.pack("=2i", 0, 2))
    columns["answer"] = pa.Array.from_buffers(
        pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff\xfe")]
    )
    path = tmp_path / "facts.parquet"
    pq.write_table(pa.table(columns), path)
    assert refused(path).startswith("facts.parquet: a text in the Parquet file is not UTF-8")


def test_a_field_of_200_kilobytes(tmp_path):
    path = tmp_path / "facts.csv"
    path.write_text(f"{HEADER}\nP36,Q142,Q90,en,t,{'F' * 200_000},P\n", "utf-8")
    assert refused(path).startswith("facts.csv line 2: not CSV (field larger than")


UNDECODABLE = os.fsdecode(b"f\xff")


def test_a_file_whose_name_is_not_text_is_read(tmp_path):
    path = tmp_path / f"{UNDECODABLE}.jsonl"
    path.write_bytes(GOOD)
    assert read_dataset(path).name == "f\\xff"
    same = tmp_path / "f.jsonl"
    same.write_bytes(GOOD)
    assert read_dataset(path).sha256 == read_dataset(same).sha256


def test_a_language_whose_name_is_not_text_is_refused(tmp_path):
    path = mpararel(tmp_path / UNDECODABLE, '{"pattern": "[X] [Y]"}', GOOD_TUPLE)
    assert read_dataset(path).name == "f\\xff"
    for folder in ("patterns", "tuples"):
        (path / folder / "en").rename(path / folder / UNDECODABLE)
    assert "of a language or relation is not valid Unicode" in refused(path)


GOOD_TUPLE = '{"sub_uri": "Q1", "obj_uri": "Q2", "sub_label": "a", "obj_label": "b"}'


def mpararel(root, pattern, row):
    for folder, text in (("patterns", pattern), ("tuples", row)):
        file = root / folder / "en" / "P36.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text(text, "utf-8")
    return root


def test_a_folder_names_the_file_within_it(tmp_path):
    path = mpararel(tmp_path, '{"pattern": "[X] [Y]"}\n\n{"patern": "[X]"}\n', "{}")
    assert refused(path).startswith("patterns/en/P36.jsonl line 3: 'pattern' is missing")


def test_a_folder_names_the_other_file_too(tmp_path):
    path = mpararel(tmp_path, '{"pattern": "[X] [Y]"}', '{"sub_uri": "Q1", "sub_label": "a"}')
    assert refused(path).startswith("tuples/en/P36.jsonl line 1: 'obj_uri' is missing")


def test_bmlama_row(tmp_path):
    path = tmp_path / "en.tsv"
    path.write_text(TSV + "A is <mask>.\tB\tB\tA\nA is <mask>.\tB\n", "utf-8")
    assert refused(path).startswith("en.tsv line 3: 2 columns instead of 4")


def test_bmlama_rows_that_do_not_line_up(tmp_path):
    row = "A is <mask>.\tB\tB\tA\n"
    (tmp_path / "en.tsv").write_text(TSV + row + row, "utf-8")
    (tmp_path / "fr.tsv").write_text(TSV + row, "utf-8")
    assert "1 rows in 'fr', 2 in the reference language" in refused(tmp_path)


def test_bmlama_without_subject(tmp_path):
    path = tmp_path / "en.tsv"
    path.write_text(TSV + "A is <mask>.\tB\tB\t\n", "utf-8")
    assert refused(path).startswith("en.tsv line 2: 'Subject' is empty")


AMIG = '{\n"u1": {"sentences": ["A is [MASK]."], "relation_name": "P39", "obj_label": "b"},\n'


@pytest.mark.parametrize(
    ("end", "problem"),
    [
        ("", "amig.json line 3: not JSON"),
        ('"u2": 3}', "amig.json entry 'u2': not a JSON object"),
        (
            '"u2": {"sentences": "A", "relation_name": "P1", "obj_label": "b"}}',
            "entry 'u2': 'sente",
        ),
        (
            '"u2": {"sentences": [1], "relation_name": "P1", "obj_label": "b"}}',
            "is 1, not a string",
        ),
        ('"u2": {"sentences": ["A"], "obj_label": "b"}}', "'u2': 'relation_name' is missing"),
        ('"u2": {"en": 1}}', "entry 'u2', 'en': not a JSON object"),
        ('"\\udcff": {"en": {}}}', "is not valid Unicode"),
        ('"u2": {"en": ' + "[" * 100_000, "not JSON that can be parsed"),
        ('"u2": ' + "9" * 5000 + "}", "not JSON that can be parsed"),
    ],
)
def test_amig(tmp_path, end, problem):
    path = tmp_path / "amig.json"
    path.write_text(AMIG + end, "utf-8")
    assert problem in refused(path)


def test_counterfact(tmp_path):
    path = tmp_path / "cf.json"
    path.write_text('[{"requested_rewrite": {"prompt": "{} is", "subject": "A"}}]', "utf-8")
    assert refused(path).startswith(
        "cf.json record 1, 'requested_rewrite', 'target_true': not a JSON object"
    )
