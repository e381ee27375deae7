"""Summarises an edit in sentences, which claim no more than was measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

DISTANCES = {
    "same-relation": "of the same relation",
    "same-type": "of other relations with an object of the same type",
    "unrelated": "of other relations with other objects",
}
"""Parts that are prompts of other facts, from near to far, in words."""

MeasuredPrompt = Mapping[str, Any]
"""A prompt's measurements, keyed by the columns of ``Ledger.show``."""


_REWRITING = ("update", "fit")


def in_words(rows: Sequence[MeasuredPrompt], mode: str, target: str | None) -> list[str]:
    """Sentences about one edit.

    >>> row = {"lang": "en", "part": "own", "fact_key": "P36:Q142", "success": True,
    ...        "changed": True, "p_old_before": 0.9, "p_old_after": 0.1,
    ...        "p_new_before": 0.0, "p_new_after": 0.8}
    >>> in_words([row], "update", "Lyon")[0]
    "In 1 of 1 languages (en) the first choice is now 'Lyon', or its name there."
    """
    own = [row for row in rows if row["part"] not in DISTANCES]
    others = (
        line
        for part, which in DISTANCES.items()
        for line in _others([row for row in rows if row["part"] == part], which)
    )
    told = [*_own(own, mode, target), *others]
    if mode == "update" and _too_strong(rows):
        told.append("Lambda is too large: other facts are lost; give a smaller one, or --auto.")
    return told


_GONE = 0.01
"""Of the old answer's probability, what is left when an update pushes too far."""

_LOST = 0.2
"""The share of prompts of other relations with another first choice that is too much."""


def _too_strong(rows: Sequence[MeasuredPrompt]) -> bool:
    """Whether the old answer is as good as gone, and facts of other relations are lost too."""
    own = [row for row in rows if row["part"] == "own"]
    far = [row for row in rows if row["part"] in ("same-type", "unrelated")]
    if not own or not far:
        return False
    before, after = (fmean(row[f"p_old_{when}"] for row in own) for when in ("before", "after"))
    return after < _GONE * before and fmean(bool(row["changed"]) for row in far) > _LOST


def _own(rows: Sequence[MeasuredPrompt], mode: str, target: str | None) -> Iterator[str]:
    by_lang: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        if row["success"] is not None:
            by_lang[row["lang"]].append(row["success"])
    if not by_lang:
        yield f"Nothing can be said about the fact: {_unknown(mode)}."
        return
    won = [lang for lang, successes in sorted(by_lang.items()) if fmean(successes) > 0.5]
    which = f" ({', '.join(won)})" if won else ""
    yield f"In {len(won)} of {len(by_lang)} languages{which} {_claim(mode, target)}."
    silent = sorted({row["lang"] for row in rows} - set(by_lang))
    if silent:
        yield f"Nothing can be said about {', '.join(silent)}: {_unknown(mode)}."
    before, after = (fmean(row[f"p_old_{when}"] for row in rows) for when in ("before", "after"))
    yield f"The old answer's probability went from {before:.3f} to {after:.3f}."
    new = [row for row in rows if row["p_new_before"] is not None]
    if new:
        before, after = (fmean(row[f"p_new_{when}"] for row in new) for when in ("before", "after"))
        yield f"The new answer's probability went from {before:.3f} to {after:.3f}."


def _claim(mode: str, target: str | None) -> str:
    if mode in _REWRITING:
        return f"the first choice is now {target!r}, or its name there"
    if mode == "enhance":
        return "most prompts make the old answer likelier"
    return "the old answer is no longer the first choice"


def _unknown(mode: str) -> str:
    if mode in _REWRITING:
        return "the new answer's name there is not known"
    return "the old answer was not the first choice there"


def _others(rows: Sequence[MeasuredPrompt], which: str) -> Iterator[str]:
    if not rows:
        return
    facts = {row["fact_key"] for row in rows}
    changed = {row["fact_key"] for row in rows if row["changed"]}
    n = sum(bool(row["changed"]) for row in rows)
    yield (f"{len(changed)} of {len(facts)} facts {which} changed ({n} of {len(rows)} prompts).")
