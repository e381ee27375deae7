"""A data set as the pipeline takes it, and the one function that reads any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kndb.errors import DatasetError
from kndb.facts import Fact, Prompt, Relation
from kndb_ingest.datasets.files import fingerprint
from kndb_ingest.datasets.formats import recognise
from kndb_ingest.datasets.selection import Selection, prompts, select
from kndb_ingest.datasets.statement import Wanted


@dataclass(frozen=True)
class Dataset:
    """A fact set, read and selected.

    Attributes:
        name: the folder's name, or the file's without its suffix.
        format: ``mpararel``, ``pararel``, ``mlama``, ``bmlama``, ``amig``, ``counterfact`` or
            ``kndb``.
        sha256: of the data files' contents, whatever was selected and wherever they lie.
        relations: those of the selected prompts, by identifier; without a label in the data,
            the identifier is the label.
        prompts: the selected prompts, by fact, language and the data set's order of templates.
            Some may be of no use to any model; ``prompt_problem`` says why.
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
    """Read a data set of any known form, or the part of it that is asked for.

    >>> read_dataset("mpararel", langs=["en", "fr"], limit=100, templates=3)  # doctest: +SKIP

    Args:
        path: the folder or file.
        langs: languages to take; None or empty takes all.
        relations: relations to take, by identifier; None or empty takes all.
        limit: how many facts to take, drawn by ``seed``: the same in every language, and first
            those that every chosen language has.
        templates: how many templates to take of each relation and language, the first ones.
            Where each fact has sentences of its own, how many of those.
        seed: of the draw.

    Raises:
        DatasetError: there is nothing of a known form, the data are malformed, or no prompt is
            left.
        UsageError: a language or relation does not exist in the data, or a number is below 1.
    """
    path = Path(path)
    wanted = Wanted(frozenset(langs or ()), frozenset(relations or ()))
    selection = Selection(wanted, limit, templates, seed)
    form = recognise(path)
    contents = form.reader.read(path, wanted)
    chosen = tuple(prompts(select(contents, selection)))
    if not chosen:
        raise DatasetError(f"{str(path)!r} holds no prompts{asked(wanted)}; choose other data.")
    return Dataset(
        name=path.resolve().name if path.is_dir() else path.stem,
        format=form.name,
        sha256=fingerprint(path, form.reader.files(path)),
        relations=tuple(
            Relation(relation_id, contents.labels.get(relation_id) or relation_id)
            for relation_id in sorted({prompt.fact.relation_id for prompt in chosen})
        ),
        prompts=chosen,
    )


def asked(wanted: Wanted) -> str:
    """What was asked for, for a message."""
    names = sorted(wanted.langs) + sorted(wanted.relations)
    return f" for {', '.join(names)}" if names else ""


def dataset_facts(dataset: Dataset) -> tuple[Fact, ...]:
    """The facts of the data set's prompts, each once, in the prompts' order."""
    return tuple(dict.fromkeys(prompt.fact for prompt in dataset.prompts))
