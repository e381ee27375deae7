"""The summary shown at the end of an ingestion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kndb_ingest.summary import IngestSummary


def summary(done: IngestSummary) -> str:
    """The figures of a run, one per line."""
    return "\n".join([_headline(done), *(f"  {name:<13} {text}" for name, text in _lines(done))])


def _headline(done: IngestSummary) -> str:
    if done.new_prompts == 0:
        return f"Nothing to do: {done.model} on {done.dataset} was already finished."
    per_second = done.new_prompts / max(done.seconds, 1e-9)
    return (
        f"{done.model} on {done.dataset}: {done.new_prompts:,} prompts in "
        f"{done.seconds:.1f} s ({per_second:.1f}/s)."
    )


def _lines(done: IngestSummary) -> Iterator[tuple[str, str]]:
    yield "facts", f"{done.facts:,}"
    yield "prompts", ", ".join(f"{lang} {n:,}" for lang, (n, _) in done.prompts.items())
    for reason, n in done.skipped.items():
        yield "skipped", f"{n:,} {reason}"
    if done.accuracy is not None:
        yield "accuracy", f"{done.accuracy:.1%} of the answers are the model's first choice"
    if done.worst_completeness is not None:
        yield "completeness", f"{done.worst_completeness:.2g} at worst"
    if done.worst_score_error is not None:
        yield "score error", f"{done.worst_score_error:.2g} at worst (estimated)"
    if done.inexact:
        yield "inexact", f"{done.inexact} prompts above the tolerance"
    yield "neurons", f"{done.knowledge_neurons:,} knowledge neurons"
    yield "run", str(done.run_id)
