"""Builds ``demo.jsonl`` from the Unicode CLDR names that Babel carries.

``python -m kndb_ingest.demo.build_facts`` rewrites the file.

This module decides which facts are in the demo and how they are worded. The names come from CLDR;
the sentences, and the tables beside this file that assign objects to countries, were written for
the demo. The same version of Babel produces the same bytes. Nothing is guessed: a fact without a
name in one language is left out of all languages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from babel import Locale
from babel.numbers import get_currency_name, get_territory_currencies

from kndb_ingest.demo import facts_path

LANGS = ("en", "zh", "es", "ru")
LATIN_SCRIPT = ("en", "es")

# Legal tender as of this day, so that the same version of Babel gives the same facts on any day.
TENDER_DAY = date(2025, 7, 1)

# Longer names ("convertible mark of ...") make poor examples. Words are separated by spaces.
MAX_ANSWER_WORDS = 4

# English sentences say "the Netherlands"; CLDR's list form has no article.
WITH_ARTICLE = frozenset(
    {"AE", "BS", "CF", "DO", "GB", "GM", "KM", "MH", "MV", "NL", "PH", "SB", "SC", "US"}
)

Labels = Mapping[str, str]
"""A name in every language of the demo: ``{"en": "France", "zh": "法国", ...}``."""


@dataclass(frozen=True)
class Country:
    """A row of ``countries.tsv``; ``-`` means that the demo has no such fact."""

    territory: str
    item: str
    continent: str
    capital: str
    language: str


@dataclass(frozen=True)
class Template:
    """A row of ``templates.tsv``."""

    relation: str
    label: str
    lang: str
    text: str


def build() -> Iterator[dict[str, str]]:
    """All prompts of the demo, sorted by relation, country, language and template."""
    templates = [Template(*row) for row in _rows("templates.tsv")]
    countries = [Country(*row) for row in _rows("countries.tsv")]
    items = dict(_rows("objects.tsv"))
    for relation in dict.fromkeys(template.relation for template in templates):
        sentences = [template for template in templates if template.relation == relation]
        for country in countries:
            found = _object(relation, country)
            if found is not None:
                yield from _say(country, items.get(found[0], found[0]), found[1], sentences)


def _say(
    country: Country, item: str, answers: Labels, sentences: Sequence[Template]
) -> Iterator[dict[str, str]]:
    subjects = _subject(country.territory)
    for sentence in sentences:
        yield {
            "relation": sentence.relation,
            "relation_label": sentence.label,
            "subject_id": country.item,
            "object_id": item if item.startswith("Q") else f"CLDR:{item}",
            "lang": sentence.lang,
            "template": sentence.text,
            "subject": subjects[sentence.lang],
            "answer": answers[sentence.lang],
        }


def _object(relation: str, country: Country) -> tuple[str, Labels] | None:
    """The object's code and names; None if the demo has no such fact."""
    found = {"P36": _capital, "P37": _language, "P38": _currency, "P30": _continent}[relation](
        country
    )
    if found is None or not _usable(found[1]):
        return None
    return found


def _usable(names: Labels) -> bool:
    return all(name and len(name.split()) <= MAX_ANSWER_WORDS for name in names.values())


def _capital(country: Country) -> tuple[str, Labels] | None:
    for key, item, *names in _rows("capitals.tsv"):
        if key == country.capital:
            return item, dict(zip(LANGS, names, strict=True))
    if country.capital == "-":
        return None
    return country.capital, {lang: _city(country.capital, lang) for lang in LANGS}


def _city(zone: str, lang: str) -> str:
    """The exemplar city; for Latin script, CLDR omits it if it is the name of the time zone."""
    city = Locale(lang).time_zones.get(zone, {}).get("city", "")
    if not city and lang in LATIN_SCRIPT:
        return zone.rpartition("/")[2].replace("_", " ")
    return str(city)


def _language(country: Country) -> tuple[str, Labels] | None:
    code = country.language
    return None if code == "-" else (code, {x: Locale(x).languages.get(code, "") for x in LANGS})


def _currency(country: Country) -> tuple[str, Labels] | None:
    """The country's currency, preferring its own (whose code begins with the territory's)."""
    tender = get_territory_currencies(country.territory, start_date=TENDER_DAY)
    own = [code for code in tender if code.startswith(country.territory)] or tender
    if country.territory == "BG" or not own:  # Bulgaria adopted the euro after CLDR's list was made
        return None
    names = {lang: get_currency_name(own[0], count=1, locale=lang) for lang in LANGS}
    return (own[0], names) if own[0] not in names.values() else None


def _continent(country: Country) -> tuple[str, Labels] | None:
    code = country.continent
    return None if code == "-" else (code, {x: Locale(x).territories[code] for x in LANGS})


def _subject(territory: str) -> Labels:
    names = {lang: Locale(lang).territories[territory].partition(" (")[0] for lang in LANGS}
    names["en"] = names["en"].replace(" & ", " and ")
    if territory in WITH_ARTICLE:
        names["en"] = f"the {names['en']}"
    return names


def _rows(name: str) -> list[list[str]]:
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def render() -> str:
    """The contents of ``demo.jsonl``."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in build())


if __name__ == "__main__":
    facts_path().write_text(render(), encoding="utf-8")
