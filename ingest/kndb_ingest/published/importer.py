"""Imports published lists of knowledge neurons as a finished run. Needs no model.

The lists are joined with a fact set by the uuids of the facts. The run has the preset ``imported``.
Its knowledge neurons have no score and no support, because none were published, so they cannot be
reselected. Its prompts count as done, but their probabilities are unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from kndb.errors import DatasetError, UsageError
from kndb.facts import Fact, Prompt
from kndb.store import ids
from kndb.store.writer import Writer
from kndb_ingest.datasets import Dataset, dataset_facts, read_dataset
from kndb_ingest.published.files import Cells, PublishedNeurons, read_published
from kndb_ingest.published.known_models import known_model

PRESET = "imported"
"""The preset of imported runs."""

_WIDTH_STEP = 256  # feed-forward blocks usually have a multiple of this many neurons


@dataclass(frozen=True)
class ImportedModel:
    """What is stored about a model whose weights are not at hand."""

    name: str
    architecture: str
    family: str
    n_layers: int
    n_neurons: int
    weights_sha256: str
    revision: str | None = None


@dataclass(frozen=True)
class ImportSummary:
    """What an import did.

    Attributes:
        run_id: id of the run.
        is_new: whether the run is new; False if it had been imported before.
        model: the model as stored.
        facts: number of facts with a list of neurons, possibly an empty one.
        neurons: number of neurons in these lists, over all facts and languages.
        langs: languages of the lists.
        without_fact: number of lists that match no fact in the fact set.
        inferred: which sizes of the model were inferred: ``layers``, ``neurons``.
    """

    run_id: int
    is_new: bool
    model: ImportedModel
    facts: int
    neurons: int
    langs: tuple[str, ...]
    without_fact: int
    inferred: tuple[str, ...]


def import_published(
    database: str | Path,
    paths: Sequence[str | Path],
    facts: str | Path,
    model: str,
    *,
    n_layers: int | None = None,
    n_neurons: int | None = None,
) -> ImportSummary:
    """Store published neurons as a run of ``model`` over the fact set.

    >>> import_published("kndb.duckdb", ["neurons/"], "pararel", "bert-base-uncased")
    ... # doctest: +SKIP

    Args:
        database: path of the database; it is created if necessary.
        paths: files or folders, as for ``read_published``.
        facts: the fact set whose uuids the lists use: a ParaRel folder or an AMIG JSON.
        model: name of the model; kndb knows the size of common ones.
        n_layers, n_neurons: number of layers, and of neurons per layer, for other models. Default:
            the smallest size that fits the neurons.

    Raises:
        DatasetError: the lists or facts cannot be read, or have no facts in common.
        UsageError: a neuron lies outside the model, or the language of a list is unclear.
        DatabaseError: the database cannot be opened.
    """
    published = read_published(paths)
    data = read_dataset(facts)
    lists, without_fact = _by_fact(published, data)
    size, inferred = _model(model, lists, n_layers, n_neurons)
    prompts = [prompt for prompt in data.prompts if (prompt.fact, prompt.lang) in lists]
    listed = dict.fromkeys(fact for fact, _ in lists)
    settings = {
        "method": PRESET,
        "published_sha256": published.sha256,
        "langs": sorted({lang for _, lang in lists}),
    }
    writer = Writer(database)
    run = writer.begin(size, data, data.relations, listed, prompts, PRESET, settings)
    dataset = ids.dataset_id(data.sha256)
    if run.status != "finished":
        _store(writer, run.run_id, dataset, prompts, lists)
    return ImportSummary(
        run_id=run.run_id,
        is_new=run.status != "finished",
        model=size,
        facts=len(listed),
        neurons=sum(map(len, lists.values())),
        langs=tuple(settings["langs"]),
        without_fact=without_fact,
        inferred=inferred,
    )


Lists = dict[tuple[Fact, str], Cells]


def _by_fact(published: PublishedNeurons, data: Dataset) -> tuple[Lists, int]:
    """The lists by fact and language, and the number of lists that match no fact."""
    by_uuid: dict[str, list[Fact]] = {}
    for fact in dataset_facts(data):
        by_uuid.setdefault(fact.subject_id, []).append(fact)
    said = {(prompt.fact, prompt.lang) for prompt in data.prompts}
    langs = sorted({lang for _, lang in said})
    lists: Lists = {}
    without_fact = 0
    for asked, by_fact in published.by_lang.items():
        lang = _spoken(asked, langs, data.name)
        for uuid, neurons in by_fact.items():
            found = [fact for fact in by_uuid.get(uuid, []) if (fact, lang) in said]
            without_fact += not found
            lists |= {(fact, lang): neurons for fact in found}
    if not lists:
        raise DatasetError(
            f"None of the {without_fact} lists of neurons matches a fact in {data.name!r}; "
            "give the fact set whose uuids they use."
        )
    return lists, without_fact


def _spoken(asked: str | None, langs: list[str], name: str) -> str:
    """The language of a list: the given one, or else the fact set's only language."""
    if asked is None and len(langs) == 1:
        return langs[0]
    if asked is None:
        raise UsageError(
            f"{name!r} has the languages {', '.join(langs)}; give the language of the neurons, "
            f"as in {langs[0]}=PATH."
        )
    if asked not in langs:
        raise UsageError(
            f"{name!r} has no language {asked!r}; it has {', '.join(langs)}: "
            "give other facts, or write LANG=PATH."
        )
    return asked


def _model(
    name: str, lists: Lists, n_layers: int | None, n_neurons: int | None
) -> tuple[ImportedModel, tuple[str, ...]]:
    """The model to store, and which of its sizes were inferred from the neurons."""
    known = known_model(name)
    every = [neuron for neurons in lists.values() for neuron in neurons]
    last_layer = max((neuron.layer for neuron in every), default=0)
    last_index = max((neuron.index for neuron in every), default=0)
    layers = n_layers or (known.n_layers if known else last_layer + 1)
    width = n_neurons or (
        known.n_neurons if known else (last_index // _WIDTH_STEP + 1) * _WIDTH_STEP
    )
    if last_layer >= layers or last_index >= width:
        raise UsageError(
            f"{name} has {layers} layers of {width} neurons, but the lists go up to layer "
            f"{last_layer} and index {last_index}; correct --model, --layers or --neurons."
        )
    given = {"layers": n_layers or known, "neurons": n_neurons or known}
    model = ImportedModel(
        name=name,
        architecture=known.architecture if known else "unknown",
        family=known.family if known else "unknown",
        n_layers=layers,
        n_neurons=width,
        weights_sha256=f"unknown: {name}",
    )
    return model, tuple(what for what, value in given.items() if not value)


def _store(
    writer: Writer, run_id: int, dataset: int, prompts: Sequence[Prompt], lists: Lists
) -> None:
    done = [ids.prompt_id(dataset, prompt) for prompt in prompts]
    predictions = pa.table({"prompt_id": done, "status": pa.repeat("done", len(done))})
    writer.append(run_id, predictions, _NO_SCORES)
    writer.finish_with(run_id, _neuron_rows(dataset, lists))


_NO_SCORES = pa.table(
    {
        "prompt_id": pa.array([], pa.int64()),
        "layer": pa.array([], pa.int16()),
        "neuron": pa.array([], pa.int32()),
        "score": pa.array([], pa.float32()),
    }
)


def _neuron_rows(dataset: int, lists: Lists) -> pa.Table:
    columns: dict[str, list[Any]] = {"fact_id": [], "lang": [], "layer": [], "neuron": []}
    for (fact, lang), neurons in lists.items():
        columns["fact_id"] += [ids.fact_id(dataset, fact)] * len(neurons)
        columns["lang"] += [lang] * len(neurons)
        columns["layer"] += [neuron.layer for neuron in neurons]
        columns["neuron"] += [neuron.index for neuron in neurons]
    return pa.table(columns)
