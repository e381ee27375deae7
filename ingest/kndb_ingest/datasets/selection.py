"""Selects statements by language, relation, fact and template. Reads no files.

The selection depends only on the statements and the seed, never on the order of the statements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from kndb.errors import UsageError
from kndb.facts import Fact, Prompt, content_id
from kndb_ingest.datasets.statement import Contents, Statement, Wanted
from kndb_ingest.prompts import prompt_problem


@dataclass(frozen=True, slots=True)
class Selection:
    """What to take from a data set.

    At most ``limit`` facts are taken, and for each fact and language the first ``templates``
    templates; None takes all.
    """

    wanted: Wanted
    limit: int | None = None
    templates: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, number in (("limit", self.limit), ("templates", self.templates)):
            if number is not None and number < 1:
                raise UsageError(f"{name} is {number}; give at least 1, or omit it to take all.")


def select(contents: Contents, selection: Selection) -> list[Statement]:
    """The selected statements without duplicates, sorted by fact, language and labels.

    Raises:
        UsageError: a language or relation does not occur in the data set.
    """
    require_known("language", selection.wanted.langs, contents.langs)
    require_known("relation", selection.wanted.relations, contents.relations)
    chosen = [s for s in contents.statements if selection.wanted.has(s.lang, s.fact.relation_id)]
    if selection.limit is not None:
        facts = sample_facts(chosen, selection.limit, selection.seed)
        chosen = [statement for statement in chosen if statement.fact in facts]
    return [first_templates(statement, selection.templates) for statement in merge(chosen)]


def require_known(what: str, asked: Collection[str], known: Collection[str]) -> None:
    """Reject names that do not occur in the data set, and list those that do."""
    unknown = sorted(set(asked) - set(known))
    if unknown and known:
        raise UsageError(
            f"The data set has no {what} {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(sorted(known))}."
        )


def sample_facts(statements: Iterable[Statement], limit: int, seed: int) -> set[Fact]:
    """Sample ``limit`` facts, preferring those usable in the most languages.

    A fact's position in the draw depends only on the seed and the fact, so a larger sample contains
    the smaller ones.
    """
    langs: dict[Fact, set[str]] = defaultdict(set)
    for statement in statements:
        usable = {statement.lang} if is_usable(statement) else set()
        langs[statement.fact] |= usable

    def place(fact: Fact) -> tuple[int, int]:
        draw = content_id("sample", seed, fact.relation_id, fact.subject_id, fact.object_id)
        return -len(langs[fact]), draw

    return set(sorted(langs, key=place)[:limit])


def is_usable(statement: Statement) -> bool:
    """Whether some model can use at least one of the statement's prompts."""
    return any(prompt_problem(prompt) is None for prompt in prompts([statement]))


def merge(statements: Iterable[Statement]) -> list[Statement]:
    """The statements in sorted order; those that differ only in templates are merged."""
    merged: dict[tuple[str, ...], Statement] = {}
    for new in statements:
        fact = new.fact
        key = (fact.relation_id, fact.subject_id, fact.object_id, new.lang, new.subject, new.answer)
        known = merged.get(key)
        merged[key] = replace(known, templates=known.templates + new.templates) if known else new
    return [merged[key] for key in sorted(merged)]


def first_templates(statement: Statement, count: int | None) -> Statement:
    """The statement with its first ``count`` distinct templates."""
    different = tuple(dict.fromkeys(statement.templates))[:count]
    return replace(statement, templates=different)


def prompts(statements: Iterable[Statement]) -> Iterable[Prompt]:
    """One prompt for each template of each statement."""
    return (
        Prompt(statement.fact, statement.lang, template, statement.subject, statement.answer)
        for statement in statements
        for template in statement.templates
    )
