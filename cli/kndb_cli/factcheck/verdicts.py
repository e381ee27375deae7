"""Verdicts as rows: their columns, what decided in words, and the summary below them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import tee
from statistics import fmean
from typing import TYPE_CHECKING

from kndb_cli.factcheck.claims_input import Line
from kndb_cli.output.rows import Rows
from kndb_cli.output.streaming import Row

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kndb.factcheck import FactChecker, Verdict

COLUMNS = (
    "claim",
    "fact_key",
    "lang",
    "verdict",
    "score",
    "threshold",
    "p_claim",
    "p_best",
    "best_answer",
    "neurons",
    "method",
    "f1",
    "f1_low",
    "f1_high",
    "reason",
)
OWN = (*COLUMNS, "decided")
"""All columns of a verdict."""

NARROW = ("claim", "verdict", "score", "threshold", "best_answer", "method", "reason", "decided")
"""What a table shows if the width does not allow for more."""

SHOWN = 10
"""At most this many of the neurons behind a score are shown."""


def beside(names: Sequence[str]) -> tuple[str, ...]:
    """Names for the columns that came with the claims: ``given_`` goes before a verdict's own.

    >>> beside(["id", "lang"])
    ('id', 'given_lang')
    """
    return tuple(f"given_{name}" if name in OWN else name for name in names)


Checked = tuple["Verdict", Row]
"""A verdict, and what came beside its claim."""


def checked(checker: FactChecker, lines: Iterator[Line]) -> Iterator[Checked]:
    """A verdict on each claim, with what came beside it."""
    texts, others = tee(lines)
    verdicts = checker.check(text for text, _ in texts)
    return ((verdict, values) for verdict, (_, values) in zip(verdicts, others, strict=True))


def table_rows(verdicts: Iterable[Checked], explain: bool) -> Iterator[Row]:
    """The rows of a table of verdicts."""
    for verdict, values in verdicts:
        own = tuple(getattr(verdict, name) for name in COLUMNS)
        yield (*own, *((decided(verdict),) if explain else ()), *values)


def decided(verdict: Verdict) -> str:
    """What decided, in words: neurons, then the other numbers that were compared."""
    weighed = [f"{name} {value:.4g}" for name, value in verdict.weighed]
    neurons = [f"{neuron} {score:+.4f}" for neuron, score in verdict.decided[:SHOWN]]
    if (more := len(verdict.decided) - SHOWN) > 0:
        neurons.append(f"and {more} more")
    return "; ".join(", ".join(part) for part in (neurons, weighed) if part)


class Told:
    """Counts verdicts on their way, and sums them up."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("true", "false", "unknown"), 0)
        self._judged: dict[str, list[Verdict]] = {}

    def counting(self, verdicts: Iterable[Checked]) -> Iterator[Checked]:
        """The same verdicts."""
        for verdict, values in verdicts:
            self.counts[verdict.verdict] += 1
            if verdict.f1 is not None:
                self._judged.setdefault(verdict.method, []).append(verdict)
            yield verdict, values

    def summary(self) -> str:
        """How many claims are true, false and unknown, and how good each method is."""
        lines = [", ".join(f"{n} {verdict}" for verdict, n in self.counts.items()) + "."]
        for method, own in self._judged.items():
            f1 = _mean([verdict.f1 for verdict in own])
            low, high = _mean([one.f1_low for one in own]), _mean([one.f1_high for one in own])
            lines.append(
                f"Judged by {method}: {len(own)}, F1 {f1:.2f} on validation facts "
                f"({low:.2f} to {high:.2f} with 95 % confidence)."
            )
        return "\n".join(lines)


def _mean(values: Sequence[float | None]) -> float:
    return fmean(value for value in values if value is not None)


def layout(data: Rows) -> RenderableType:
    """All columns that say something where they fit, otherwise the most important ones."""
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb_cli.output.fitting import Column, Fitting
    from kndb_cli.output.tables import blocks, by_column

    columns = [
        Column.of(head, values)
        for head, values in zip(data.columns, by_column(data), strict=True)
        if head not in OWN or any(value not in (None, "") for value in values)
    ]
    chosen = [column for column in columns if column.head not in OWN or column.head in NARROW]
    return Fitting(columns, lambda: Fitting(chosen, lambda: blocks(data)), wraps=False)
