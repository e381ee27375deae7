"""Which fact of the index a claim is about: its template, its subject, and the answer it claims.

A claim may say a template in other words (:mod:`kndb.factcheck.wording`); it is then taken only if
the index has its answer. A claim that fits no template, or no subject of its relation and language,
or several facts, is returned with the reason. Nothing is guessed, and no model is run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from kndb.errors import NotFound
from kndb.factcheck.forms import Form, Nearest, other_words
from kndb.factcheck.spelling import canonical, fold, name_problem, same, scripts
from kndb.factcheck.wording import denies, with_article
from kndb.facts import MASK_PLACEHOLDER, OBJECT_PLACEHOLDER, SUBJECT_PLACEHOLDER
from kndb.store.database import connect
from kndb.store.prompts import RelationLang

_QUESTION_MARKS = ("?", "？", "؟", "?»", "?”")


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
        others: the fact's other prompts, for a model that cannot be asked these.
    """

    text: str
    fact_key: str
    relation_id: str
    lang: str
    prompts: tuple[str, ...]
    answer: str
    others: tuple[str, ...] = ()

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

    forms: list[Form] = field(default_factory=list)
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
            self.forms.append(Form.of(relation, lang, template, keys if own else ()))
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
        found = self._match(text, lang)
        if isinstance(found, Unclear) and text.rstrip().endswith(_QUESTION_MARKS):
            return replace(found, reason="it is a question; a claim is a statement")
        return found

    def _match(self, text: str, lang: str | None) -> Claim | Unclear:
        spelled = canonical(text)
        if not spelled:
            return Unclear(text, "nothing is claimed")
        found, subjects = self._readings(text, spelled, self._forms_in(self.forms, lang))
        if any(map(self._knows, found)):
            return self._one(text, found)
        others, more = self._readings(text, spelled, self._forms_in(self._other_words, lang))
        known = list(filter(self._knows, others))
        if found and not known:  # "is called Lyon" is no name where "is" is the template's word
            least = min(len(claim.answer) for claim in found)
            known = [claim for claim in others if len(claim.answer) < least]
        if found or known:
            return self._one(text, [*found, *known])
        if subjects or (more and not others):
            return Unclear(text, "its subject is not in the index")
        return self._unmatched(text, lang, others)

    @cached_property
    def _other_words(self) -> list[Form]:
        return other_words(self.forms)

    @cached_property
    def _nearest(self) -> Nearest:
        return Nearest(self.forms)

    def _forms_in(self, forms: Iterable[Form], lang: str | None) -> Iterator[Form]:
        return (form for form in forms if lang is None or form.lang.lower() == lang.lower())

    def _readings(
        self, text: str, spelled: str, forms: Iterable[Form]
    ) -> tuple[list[Claim], set[str]]:
        """The claims that a text makes in these forms, and every text in a subject's place."""
        folded = fold(spelled)
        found: dict[tuple[str, str, str], Claim] = {}
        subjects: set[str] = set()
        for form in forms:
            for subject, answer in form.fillings(folded):
                subjects.add(folded[slice(*subject)])
                for key in self._keys(form, folded[slice(*subject)]):
                    claim = self._claim(text, form, key, spelled[slice(*answer)])
                    found.setdefault((key, form.lang, claim.answer), claim)
        return list(found.values()), subjects

    def _keys(self, form: Form, subject: str) -> Iterable[str]:
        if form.fact_keys:
            return form.fact_keys
        for name in (subject, *with_article(subject, form.lang)):
            if keys := self.subjects.get((form.relation_lang, name)):
                return keys
        return ()

    def _claim(self, text: str, form: Form, key: str, answer: str) -> Claim:
        asked = self._prompt(form.template, key, form.lang)
        return Claim(
            text,
            key,
            form.relation_id,
            form.lang,
            (asked,),
            self.answers.get((form.relation_lang, same(answer)), answer),
            tuple(prompt for prompt in self.prompts[key, form.lang] if prompt != asked),
        )

    def _unmatched(self, text: str, lang: str | None, readings: Sequence[Claim]) -> Unclear:
        """A claim that fits no template; the readings are in other words than a template's."""
        if readings:
            first = readings[0]
            problem = self.answer_problem(first) or "its answer is not in the index"
            return Unclear(text, problem, first.fact_key, first.lang)
        nearest = self._nearest.to(same(text), lang)
        hint = f"; the nearest is {nearest!r}" if nearest else ""
        return Unclear(text, f"no template matched{hint}")

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
        if denies(claim.answer, claim.lang):
            return "it is a denial; check what it denies"
        if self._says_more(claim):
            return "the answer is more than a name"
        if not scripts(claim.answer) <= self.scripts[claim.lang]:
            return f"the answer is not in the script of {claim.lang}"
        return None

    def _says_more(self, claim: Claim) -> bool:
        """Whether the answer is a known one with words before or after it: "near Paris"."""
        words = claim.answer.split()
        for start in range(len(words)):
            for end in range(start + 1, len(words) + 1):
                rest = words[:start] + words[end:]
                known = (claim.relation_lang, same(" ".join(words[start:end]))) in self.answers
                if known and any(word.islower() for word in rest):
                    return True
        return False

    def about(self, fact_key: str, answer: str, lang: str | None = None) -> list[Claim | Unclear]:
        """The claim that a fact has this answer, in each language that knows the answer.

        Args:
            fact_key: ``P36:Q142``.
            answer: the claimed object.
            lang: the language to ask in; the answer may then be one that the index does not have.
                Where the fact has one language only, that is the one.

        Raises:
            NotFound: there is no such fact; the error has some of its relation.
        """
        keys = {key.lower(): key for key, _ in self.names}
        key = keys.get(fact_key.strip().lower())
        if key is None:
            relation = fact_key.partition(":")[0].strip().upper()
            some = sorted(name for name in keys.values() if name.startswith(f"{relation}:"))
            raise NotFound(
                f"There is no fact {fact_key!r}; give a key as P36:Q142.",
                some[:5],
                f"Facts of {relation}, for example",
            )
        text = f"{key} {answer}"
        claims = [self._about(text, key, of, answer) for fact, of in self.names if fact == key]
        if lang is not None:
            chosen = [claim for claim in claims if claim.lang.lower() == lang.lower()]
        elif len(claims) == 1:
            chosen = claims
        else:
            chosen = [claim for claim in claims if self._knows(claim)]
        if not chosen:
            return [Unclear(text, _no_language(claims, lang), key)]
        problems = [(claim, self.answer_problem(claim)) for claim in chosen]
        return [
            Unclear(text, problem, key, claim.lang) if problem else claim
            for claim, problem in problems
        ]

    def _about(self, text: str, key: str, lang: str, answer: str) -> Claim:
        relation = key.partition(":")[0]
        spelled = self.answers.get((RelationLang(relation, lang), same(answer)), canonical(answer))
        return Claim(text, key, relation, lang, tuple(self.prompts[key, lang]), spelled)


def _no_language(claims: Sequence[Claim], asked: str | None) -> str:
    """Why none of a fact's languages can be asked."""
    langs = [claim.lang for claim in claims]
    if asked is not None:
        return f"the fact is not in {asked}, but in {', '.join(langs)}"
    return (
        f"no fact of the relation has this answer in {', '.join(langs)}; --lang {langs[0]} asks it "
        "nevertheless"
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
