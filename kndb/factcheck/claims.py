"""Which fact of the index a claim is about: its template, its subject, and the answer it claims.

A claim that fits no template, or no subject of its relation and language, or several facts, is
returned with the reason. Nothing is guessed, and no model is run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kndb.errors import NotFound
from kndb.factcheck.spelling import canonical, fold, name_problem, same, scripts
from kndb.facts import MASK_PLACEHOLDER, OBJECT_PLACEHOLDER, SUBJECT_PLACEHOLDER
from kndb.store.database import connect
from kndb.store.prompts import RelationLang

_SUBJECT, _OBJECT = "\ue000", "\ue001"  # private characters that no text contains


@dataclass(frozen=True)
class Claim:
    """A claim as the index understands it.

    Attributes:
        text: the claim as it was given.
        fact_key: relation and subject: ``P36:Q142``.
        relation_id: the relation.
        lang: the language of the template.
        prompts: the sentences to ask the model, with ``[MASK]`` for the answer.
        answer: the claimed object, in the index's spelling if the index has it.
    """

    text: str
    fact_key: str
    relation_id: str
    lang: str
    prompts: tuple[str, ...]
    answer: str

    @property
    def relation_lang(self) -> RelationLang:
        """Its relation and language."""
        return RelationLang(self.relation_id, self.lang)


@dataclass(frozen=True)
class Unclear:
    """A claim that cannot be checked, and why."""

    text: str
    reason: str
    fact_key: str | None = None
    lang: str | None = None


@dataclass(frozen=True)
class _Form:
    """A template: the text before, between and after its two slots, without case.

    ``fact_keys`` are set if the template itself names its subject.
    """

    relation_id: str
    lang: str
    template: str
    parts: tuple[str, ...]
    subject_first: bool
    fact_keys: frozenset[str] = frozenset()

    @property
    def relation_lang(self) -> RelationLang:
        """Its relation and language."""
        return RelationLang(self.relation_id, self.lang)

    def fillings(self, text: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Every way to fit the text: the spans of its subject and of its answer."""
        first, last = self.parts[0], self.parts[-1]
        start, end = len(first), len(text) - len(last)
        if end <= start or not (text.startswith(first) and text.endswith(last)):
            return
        if len(self.parts) == 2:
            yield (0, 0), (start, end)
            return
        middle = self.parts[1]
        cut = text.find(middle, start + 1, end)
        while cut != -1 and cut + len(middle) < end:
            one, other = (start, cut), (cut + len(middle), end)
            yield (one, other) if self.subject_first else (other, one)
            cut = text.find(middle, cut + 1, end)


@dataclass
class Index:
    """The templates, subjects and answers of a database, ready to match claims.

    Attributes:
        forms: the templates.
        subjects: fact keys by the subject's name.
        names: the name of each fact's subject.
        answers: the index's spelling of each answer.
        stored: the answers of each fact in each language.
        prompts: the prompts of each fact in each language.
        scripts: the scripts of each language's names.
    """

    forms: list[_Form] = field(default_factory=list)
    subjects: dict[tuple[RelationLang, str], set[str]] = field(
        default_factory=lambda: defaultdict(set)
    )
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    answers: dict[tuple[RelationLang, str], str] = field(default_factory=dict)
    stored: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    prompts: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    scripts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def read(cls, path: str | Path) -> Index:
        """Read a database's index.

        Raises:
            DatabaseError: it cannot be opened.
        """
        index = cls()
        with connect(path) as connection:
            index._add_names(connection.execute(_NAMES).fetchall())
            index._add_forms(connection.execute(_TEMPLATES).fetchall())
        return index

    def _add_names(self, rows: Iterable[tuple[str, str, str, str, str]]) -> None:
        for relation, key, lang, subject, answer in rows:
            relation_lang = RelationLang(relation, lang)
            self.subjects[relation_lang, same(subject)].add(key)
            self.names[key, lang] = subject
            self.stored[key, lang].append(answer)
            self.answers.setdefault((relation_lang, same(answer)), answer)
            self.scripts[lang] |= scripts(subject + answer)

    def _add_forms(self, rows: Iterable[tuple[str, str, str, list[str]]]) -> None:
        for relation, lang, template, keys in rows:
            own = SUBJECT_PLACEHOLDER not in template
            self.forms.append(_form(relation, lang, template, keys if own else ()))
            for key in keys:
                self.prompts[key, lang].append(self._prompt(template, key, lang))

    def _prompt(self, template: str, fact_key: str, lang: str) -> str:
        asked = template.replace(OBJECT_PLACEHOLDER, MASK_PLACEHOLDER)
        return asked.replace(SUBJECT_PLACEHOLDER, self.names[fact_key, lang])

    def match(self, text: str, lang: str | None = None) -> Claim | Unclear:
        """The claim made by a sentence.

        Args:
            text: one sentence, for example ``The capital of France is Lyon.``
            lang: its language; any if None.
        """
        spelled = canonical(text)
        if not spelled:
            return Unclear(text, "nothing is claimed")
        folded = fold(spelled)
        found: dict[tuple[str, str, str], Claim] = {}
        subjects: set[str] = set()
        for form in self.forms:
            if lang is not None and form.lang.lower() != lang.lower():
                continue
            for subject, answer in form.fillings(folded):
                subjects.add(spelled[slice(*subject)])
                keys = self._keys(form, folded[slice(*subject)])
                for key in keys:
                    claim = self._claim(text, form, key, spelled[slice(*answer)])
                    found.setdefault((key, form.lang, claim.answer), claim)
        if not found:
            reason = "its subject is not in the index" if subjects else "no template matched"
            return Unclear(text, reason)
        return self._one(text, list(found.values()))

    def _keys(self, form: _Form, subject: str) -> Iterable[str]:
        if form.fact_keys:
            return form.fact_keys
        return self.subjects.get((form.relation_lang, subject), ())

    def _claim(self, text: str, form: _Form, key: str, answer: str) -> Claim:
        asked = self._prompt(form.template, key, form.lang)
        return Claim(
            text,
            key,
            form.relation_id,
            form.lang,
            (asked,),
            self.answers.get((form.relation_lang, same(answer)), answer),
        )

    def _one(self, text: str, claims: list[Claim]) -> Claim | Unclear:
        """The one claim meant: it may fit several languages, but only one fact."""
        sound = [claim for claim in claims if self.answer_problem(claim) is None]
        if len({claim.fact_key for claim in sound or claims}) > 1:
            return Unclear(text, "several facts match")
        if not sound:
            first = claims[0]
            return Unclear(text, self.answer_problem(first) or "", first.fact_key, first.lang)
        if len({same(claim.answer) for claim in sound}) > 1:
            known = [claim for claim in sound if self._knows(claim)]
            if len({same(claim.answer) for claim in known}) != 1:
                return Unclear(text, "several answers can be read", sound[0].fact_key)
            sound = known
        return min(sound, key=lambda claim: claim.lang)

    def _knows(self, claim: Claim) -> bool:
        return (claim.relation_lang, same(claim.answer)) in self.answers

    def answer_problem(self, claim: Claim) -> str | None:
        """Why the claimed answer is not an answer, in a few words; None if it is one."""
        if self._knows(claim):
            return None
        if problem := name_problem(claim.answer):
            return problem
        if not scripts(claim.answer) <= self.scripts[claim.lang]:
            return f"the answer is not in the script of {claim.lang}"
        return None

    def about(self, fact_key: str, answer: str, lang: str | None = None) -> list[Claim | Unclear]:
        """The claim that a fact has this answer, in each language that knows the answer.

        Args:
            fact_key: ``P36:Q142``.
            answer: the claimed object.
            lang: the language to ask in; the answer may then be one that the index does not have.

        Raises:
            NotFound: there is no such fact; the error suggests similar keys.
        """
        keys = {key.lower(): key for key, _ in self.names}
        key = keys.get(fact_key.strip().lower())
        if key is None:
            relation = fact_key.partition(":")[0]
            near = sorted(name for name in keys.values() if name.startswith(f"{relation}:"))
            raise NotFound(f"There is no fact {fact_key!r}; give a key as P36:Q142.", near[:5])
        text = f"{key} {answer}"
        claims = [self._about(text, key, of, answer) for fact, of in self.names if fact == key]
        if lang is not None:
            chosen = [claim for claim in claims if claim.lang.lower() == lang.lower()]
        else:
            chosen = [claim for claim in claims if self._knows(claim)]
        if not chosen:
            return [Unclear(text, "no language of the fact knows this answer; give --lang", key)]
        problems = [(claim, self.answer_problem(claim)) for claim in chosen]
        return [
            Unclear(text, problem, key, claim.lang) if problem else claim
            for claim, problem in problems
        ]

    def _about(self, text: str, key: str, lang: str, answer: str) -> Claim:
        relation = key.partition(":")[0]
        spelled = self.answers.get((RelationLang(relation, lang), same(answer)), canonical(answer))
        return Claim(text, key, relation, lang, tuple(self.prompts[key, lang]), spelled)


def _form(relation: str, lang: str, template: str, keys: Iterable[str]) -> _Form:
    marked = template.replace(SUBJECT_PLACEHOLDER, _SUBJECT).replace(OBJECT_PLACEHOLDER, _OBJECT)
    # A full stop after a placeholder is dropped, as it is from a claim.
    spelled = same(marked)
    parts = tuple(spelled.replace(_SUBJECT, _OBJECT).split(_OBJECT))
    return _Form(
        relation,
        lang,
        template,
        parts,
        spelled.find(_SUBJECT) < spelled.find(_OBJECT),
        frozenset(keys),
    )


_NAMES = """
    SELECT DISTINCT relation_id, fact_key, lang, subject, answer
    FROM prompt JOIN fact USING (fact_id)
    ORDER BY ALL
"""
# Templates must have exactly one answer slot and at most one subject slot.
_TEMPLATES = """
    SELECT relation_id, lang, template, list(DISTINCT fact_key ORDER BY fact_key)
    FROM prompt JOIN fact USING (fact_id)
    WHERE len(string_split(template, '[Y]')) = 2 AND len(string_split(template, '[X]')) <= 2
    GROUP BY ALL ORDER BY ALL
"""
