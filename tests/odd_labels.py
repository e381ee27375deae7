"""Databases with labels that are hard to show: with markup, right to left, Chinese, long."""

from __future__ import annotations

from pathlib import Path

from kndb.facts import Fact, Prompt, Relation
from kndb.store import ids
from kndb.store.writer import Writer
from small_store import Dataset, Model, attributions, predictions, start_from_empty

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x1b[31m'


LABELS = {
    "ar": ("[X] عاصمتها [Y].", "بنين", "بورتو نوفو"),
    "en": ("The capital of [X] is [Y].", "Benin", "Porto-Novo"),
    "he": ("הבירה של [X] היא [Y].", "בנין", "פורטו-נובו"),
    "zh": ("[X]的首都是[Y]。", "贝宁", "波多诺伏"),
    "de": ("[X] [Y].", "Donaudampfschifffahrtsgesellschaft" * 4, "Rindfleischetikettierung" * 4),
}
"""For each language a template, a subject and an answer."""


def evil_database(path: Path) -> None:
    """Two runs over one fact in two languages, with ``EVIL`` in every label."""
    relation = Relation(f"R{EVIL}", f"relation{EVIL}")
    fact = Fact(relation.relation_id, f"S{EVIL}", f"O{EVIL}")
    prompts = [
        Prompt(fact, lang, f"[X] {EVIL} [Y].", f"subject{EVIL}", f"answer{EVIL}")
        for lang in ("en", f"l{EVIL}".lower())
    ]
    for note in ("first", EVIL):
        _run(path, relation, prompts, EVIL, note)


def languages_database(path: Path) -> None:
    """A run over one fact in the languages of ``LABELS``."""
    fact = Fact("P36", "Q962", "Q3799")
    prompts = [Prompt(fact, lang, *labels) for lang, labels in LABELS.items()]
    _run(path, Relation("P36", "capital"), prompts)


def _run(
    path: Path, relation: Relation, prompts: list[Prompt], label: str = "", note: str = ""
) -> None:
    start_from_empty(path)
    data, model = Dataset(name=f"data{label}"), Model(name=f"model{label}")
    writer = Writer(path)
    facts = [prompts[0].fact]
    keys = [ids.prompt_id(ids.dataset_id(data.sha256), prompt) for prompt in prompts]
    run = writer.begin(model, data, [relation], facts, prompts, f"preset{label}", {"note": note})
    writer.append(run.run_id, predictions(keys), attributions([(key, 0, 1, 1.0) for key in keys]))
    writer.finish(run.run_id, 0.2, 0.5)
