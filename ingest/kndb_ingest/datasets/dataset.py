"""The data set that the pipeline takes, and the function that reads one in any format.

Parsing is left to the readers, one module per format.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kndb.errors import DatasetError
from kndb.facts import Fact, Prompt, Relation
from kndb.files import stamps
from kndb_ingest.datasets.files import changed, fingerprint, valid
from kndb_ingest.datasets.formats import recognise
from kndb_ingest.datasets.relation_labels import relation_label
from kndb_ingest.datasets.selection import Selection, prompts, select
from kndb_ingest.datasets.statement import Wanted


@dataclass(frozen=True)
class Dataset:
    """A fact set after reading and selection.

    Attributes:
        name: the folder's name, or the file's name without its suffix.
        format: ``mpararel``, ``pararel``, ``mlama``, ``bmlama``, ``amig``, ``counterfact`` or
            ``kndb``.
        sha256: hash of the data files' contents; independent of the selection and the location.
        relations: relations of the selected prompts, sorted by identifier; a relation without a
            label in the data has its identifier as its label.
        prompts: the selected prompts, sorted by fact and language, in the data set's order of
            templates. No model can use some of them; ``prompt_problem`` says why.
    """

    name: str
    format: str
    sha256: str
    relations: tuple[Relation, ...]
    prompts: tuple[Prompt, ...]


def read_dataset(
    path: str | Path,
    *,
    langs: Sequence[str] | None = None,
    relations: Sequence[str] | None = None,
    limit: int | None = None,
    templates: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Read a data set in any known format, or a selected part of it.

    >>> read_dataset("mpararel", langs=["en", "fr"], limit=100, templates=3)  # doctest: +SKIP

    Args:
        path: the folder or file.
        langs: languages to take; None or empty for all.
        relations: relations to take, by identifier; None or empty for all.
        limit: at most this many facts, sampled with ``seed``: the same ones in every language,
            preferring facts that exist in all the chosen languages.
        templates: at most this many templates per relation and language, the first ones. If facts
            have sentences of their own, at most this many per fact and language.
        seed: seed of the sample.

    Raises:
        DatasetError: the format is unknown, the data are malformed or changed while they were
            read, or no prompts are left.
        UsageError: a language or relation does not occur in the data, or a number is below 1.
    """
    path = Path(path)
    wanted = Wanted(frozenset(langs or ()), frozenset(relations or ()))
    selection = Selection(wanted, limit, templates, seed)
    form = recognise(path)
    before = stamps(form.reader.files(path))
    contents = form.reader.read(path, wanted)
    for name in (*contents.langs, *contents.relations):
        valid(name, _name(path), f"the name {name!r} of a language or relation")
    chosen = tuple(prompts(select(contents, selection)))
    if not chosen:
        raise DatasetError(f"{str(path)!r} has no prompts{asked(wanted)}; choose other data.")
    sha256 = fingerprint(path, before)
    if stamps(form.reader.files(path)) != before:
        raise changed(path)
    return Dataset(
        name=_name(path),
        format=form.name,
        sha256=sha256,
        relations=tuple(
            Relation(relation_id, contents.labels.get(relation_id) or relation_label(relation_id))
            for relation_id in sorted({prompt.fact.relation_id for prompt in chosen})
        ),
        prompts=chosen,
    )


def _name(path: Path) -> str:
    """The name of the folder, or of the file without its suffix; undecodable bytes as escapes."""
    name = path.resolve().name if path.is_dir() else path.stem
    return os.fsencode(name).decode(errors="backslashreplace")


def asked(wanted: Wanted) -> str:
    """The requested languages and relations, for a message."""
    names = sorted(wanted.langs) + sorted(wanted.relations)
    return f" for {', '.join(names)}" if names else ""


def dataset_facts(dataset: Dataset) -> tuple[Fact, ...]:
    """The distinct facts of the data set's prompts, in the order of the prompts."""
    return tuple(dict.fromkeys(prompt.fact for prompt in dataset.prompts))
