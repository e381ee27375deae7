"""Where kndb reads what strangers wrote: takes any bytes, and gives rows or kndb's errors."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch

import kndb
from kndb.edit import Delta
from kndb.edit.jobs_file import count_edits, read_edits
from kndb.edit.plan import EditSettings
from kndb.edit.selection import parse_selection
from kndb.errors import KndbError
from kndb.factcheck.claims import Index
from kndb.factcheck.labelled_claims import parse_split
from kndb.models.gguf_file import load_gguf
from kndb.neurons import Neuron
from kndb.plain import is_text
from kndb.store.sandbox.judge import judge
from kndb_cli.factcheck.claims_input import opened
from kndb_ingest.datasets import read_dataset
from kndb_ingest.published.files import read_published
from near_files import AMIG, COUNTERFACT, CSV, EDIT, PUBLISHED, ROW, TSV, encoded
from small_store import finished_run


@dataclass(frozen=True)
class EntryPoint:
    """A place where input comes in.

    Attributes:
        read: takes the input.
        seeds: inputs near to what is meant, from which others are made.
    """

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]

    def __call__(self, data: bytes) -> bool:
        """Read the input; False if it was refused, with one sentence."""
        try:
            self.read(data)
        except KndbError as error:
            text = str(error)
            assert text
            assert "\n" not in text
            assert len(text) < 10_000
            return False
        return True


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="kndb-fuzz-"))


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _facts(name: str, data: bytes) -> None:
    for prompt in read_dataset(_file(name, data)).prompts:
        texts = (prompt.fact.key, prompt.lang, prompt.template, prompt.subject, prompt.answer)
        assert all(map(is_text, texts))


def _edits(data: bytes) -> None:
    path = _file("edits.jsonl", data)
    assert len([*read_edits(path, EditSettings(mode="erase"))]) == count_edits(path)


def _claims(name: str, data: bytes) -> None:
    with opened(_file(name, data)) as claims:
        assert all(is_text(claim) for claim, _ in claims.lines)


@cache
def _path() -> Path:
    path = _folder() / "k.duckdb"
    finished_run(path)
    return path


@cache
def _database() -> kndb.Database:
    return kndb.open(_path())


@cache
def _index() -> Index:
    return Index.read(_path())


def _text(data: bytes) -> str:
    """As Python gives a command its arguments."""
    return data.decode("utf-8", "surrogateescape")


def _neuron(data: bytes) -> None:
    neuron = Neuron.parse(_text(data))
    assert Neuron.parse(str(neuron)) == neuron


def _gguf(data: bytes) -> None:
    load_gguf(_file("model.gguf", data), "model.gguf", torch.float32)


DELTA = Delta("ab" * 32, (Neuron(0, 1), Neuron(1, 3)), torch.zeros(2, 4), torch.ones(2, 4))
SQL = (
    "SELECT lang, count(*) FROM prompt GROUP BY ALL",
    "EXPLAIN ANALYSE FROM range(3)",
    "PIVOT run ON preset USING count(*)",
    "WITH a AS (VALUES (1), ('b''c')) SELECT * FROM a /* ; */ -- d",
)

_TEXT, _NUMBER = 8, 4  # types of values in GGUF files
GGUF_HEADER = b"".join(
    [
        b"GGUF" + struct.pack("<IQQ", 3, 0, 3),  # version, tensors, values
        *(
            struct.pack("<Q", 20)
            + b"general.architecture"
            + struct.pack("<IQ", _TEXT, 5)
            + b"llama",
        ),
        *(struct.pack("<Q", 17) + b"llama.block_count" + struct.pack("<II", _NUMBER, 1),),
        *(struct.pack("<Q", 22) + b"llama.embedding_length" + struct.pack("<II", _NUMBER, 8),),
    ]
)
"""A model without tensors or tokenizer."""

ENTRY_POINTS = {
    "facts-jsonl": EntryPoint(partial(_facts, "facts.jsonl"), (encoded(ROW, ROW),)),
    "facts-csv": EntryPoint(partial(_facts, "facts.csv"), (CSV,)),
    "facts-tsv": EntryPoint(partial(_facts, "en.tsv"), (TSV,)),
    "facts-json": EntryPoint(partial(_facts, "facts.json"), (encoded(AMIG), encoded(COUNTERFACT))),
    "published": EntryPoint(lambda x: read_published([_file("n.json", x)]), (encoded(PUBLISHED),)),
    "edits": EntryPoint(_edits, (encoded(EDIT, EDIT), encoded(COUNTERFACT))),
    "claims-jsonl": EntryPoint(
        partial(_claims, "claims.jsonl"), (encoded({"claim": "It rains."}),)
    ),
    "claims-csv": EntryPoint(partial(_claims, "claims.csv"), (b"id,claim\n1,It rains.\n",)),
    "claims-txt": EntryPoint(partial(_claims, "claims.txt"), (b"It rains.\nIt snows.\n",)),
    "claim": EntryPoint(
        lambda data: _index().match(_text(data)),
        (b"The capital of France is Paris.", "法国的首都是巴黎。".encode()),
    ),
    "fact": EntryPoint(
        lambda data: _database().query(fact=_text(data)),
        (b"P36:Q142", b"France", b"capital:France", "法国".encode()),
    ),
    "neuron": EntryPoint(_neuron, (b"0:1", b"11:3071")),
    "selection": EntryPoint(
        lambda data: parse_selection(_text(data)), (b"specific:0.05", b"layer:1", b"2:117,3:5")
    ),
    "split": EntryPoint(lambda data: parse_split(_text(data)), (b"60/20/20",)),
    "delta": EntryPoint(Delta.from_bytes, (DELTA.to_bytes(),)),
    "sql": EntryPoint(lambda data: judge(_text(data)), tuple(sql.encode() for sql in SQL)),
    "gguf": EntryPoint(_gguf, (GGUF_HEADER, GGUF_HEADER[:-4])),
}
