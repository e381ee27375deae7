"""The summary of an ingestion, and that of its plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kndb.plain import counted
from kndb_cli.output.progress import left, rate

if TYPE_CHECKING:
    from kndb_ingest.plan import Plan
    from kndb_ingest.summary import IngestSummary


MOST_RELATIONS = 3
"""The most pairs of relation and language that a summary lists as lacking usable prompts."""

_ADAPTERS = {"general": "general: whole sequences, slower than an architecture of the table"}


def summary(done: IngestSummary) -> str:
    """The figures of a run, one per line."""
    return "\n".join([_headline(done), *(f"  {name:<13} {text}" for name, text in _lines(done))])


MILLION = 1_000_000


def planned(plan: Plan, workers: int | None = None, price: float | None = None) -> str:
    """The figures of a plan, one per line.

    Args:
        plan: the plan, measured on one machine.
        workers: how many machines like it would work.
        price: of one such machine for an hour.
    """
    head = f"{plan.model} on {plan.dataset}, estimated from {plan.sampled:,} prompts:"
    lines = [*_estimates(plan), ("a million", _million(plan.prompt_seconds, workers, price))]
    return "\n".join([head, *(f"  {name:<13} {text}" for name, text in lines)])


def _million(prompt_seconds: float, workers: int | None, price: float | None) -> str:
    """What a million prompts like these would cost.

    >>> _million(0.36, None, None)
    'such prompts: about 100 h 0 min'
    >>> _million(0.36, 8, 2.5)
    'such prompts: about 12 h 30 min with 8 workers like this, 250 at 2.5 an hour'
    """
    seconds = MILLION * prompt_seconds
    text = f"such prompts: about {left(seconds / (workers or 1))}"
    if workers is not None:
        text += f" with {workers:,} workers like this"
    if price is not None:
        text += f", {price * seconds / 3600:,.4g} at {price:g} an hour"
    return text


def _estimates(plan: Plan) -> Iterator[tuple[str, str]]:
    yield "adapter", _ADAPTERS.get(plan.adapter, plan.adapter)
    if plan.stored:
        yield "stored", f"{plan.stored:,} prompts that need not be run again"
    yield "facts", f"{plan.facts:,}"
    yield "prompts", ", ".join(f"{lang} {n:,}" for lang, n in plan.prompts.items()) or "none"
    for reason, n in plan.skipped.items():
        yield "skipped", f"{n:,} {reason}"
    if plan.asked:
        yield "known", f"about {plan.known:.0%}, of {plan.asked:,} asked"
    yield "attributed", f"{'about ' if plan.asked else ''}{plan.attributed:,} prompts"
    yield "rows", f"about {plan.rows:,}"
    yield "time", f"about {left(plan.seconds.value)} ({_certainty(plan)})"
    if plan.memory is not None:
        yield "memory", f"{plan.memory / 2**20:,.0f} MiB so far, with the model"
    beside = f", {plan.scores / 2**20:,.1f} of them for all scores" if plan.scores else ""
    yield "disk", f"about {plan.disk / 2**20:,.1f} MiB{beside}"


def _certainty(plan: Plan) -> str:
    """The interval of the time, or what there is instead where the sample shows no spread."""
    low, high = left(plan.seconds.low), left(plan.seconds.high)
    if low != high:
        return f"{low} to {high}"
    return f"from {counted(plan.sampled, 'prompt')}"


def _headline(done: IngestSummary) -> str:
    if done.new_prompts == 0:
        return f"Nothing to do: {done.model} on {done.dataset} was already finished."
    speed = rate(done.new_prompts / max(done.seconds, 1e-9), "prompts")
    return (
        f"{done.model} on {done.dataset}: {counted(done.new_prompts, 'prompt')} in "
        f"{done.seconds:.1f} s ({speed})."
    )


def _lines(done: IngestSummary) -> Iterator[tuple[str, str]]:
    yield "adapter", _ADAPTERS.get(done.adapter, done.adapter)
    if done.shards is not None:
        yield "shards", f"{done.shards}; `kndb merge` brings them together"
    if done.workers:
        yield "workers", ", ".join(f"{name} {n:,}" for name, n in done.workers.items())
    yield "facts", f"{done.facts:,}"
    yield "prompts", ", ".join(f"{lang} {n:,}" for lang, (n, _) in done.prompts.items())
    for reason, n in done.skipped.items():
        yield "skipped", f"{n:,} {reason}"
    for reason, n in done.unknown.items():
        yield "unknown", f"{n:,} {reason}"
    for reason, (n, text) in done.failed.items():
        yield "failed", f"{n:,} {reason}, such as {text!r}; try --dtype float32"
    yield from _unasked(done)
    if done.accuracy is not None:
        yield "accuracy", f"{done.accuracy:.1%} of the answers are the model's first choice"
    if done.worst_completeness is not None:
        yield "completeness", f"{done.worst_completeness:.2g} at worst"
    if done.worst_score_error is not None:
        yield "score error", f"{done.worst_score_error:.2g} at worst (estimated)"
    if done.inexact:
        yield "inexact", f"{counted(done.inexact, 'prompt')} above the tolerance"
    yield "neurons", counted(done.knowledge_neurons, "knowledge neuron")
    yield "run", str(done.run_id)


def _unasked(done: IngestSummary) -> Iterator[tuple[str, str]]:
    """Facts that no prompt reached, and the templates that would reach them."""
    if not done.unasked:
        return
    facts = sum(done.unasked.values())
    yield "not asked", f"{counted(facts, 'fact')}, counted once per language"
    if "the object is not last" not in done.skipped:
        return
    most = list(done.unasked.items())[:MOST_RELATIONS]
    wanted = ", ".join(f"{relation} in {lang} ({n:,})" for (relation, lang), n in most)
    more = len(done.unasked) - len(most)
    others = f" and {more} more" if more else ""
    yield "would help", f"templates that end in [Y] for {wanted}{others}"
