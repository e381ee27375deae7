"""Two runs against each other: other models, presets or settings on the same facts."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

from kndb.store.result import Result
from kndb.store.run_diff import DiffBy, Difference
from kndb.store.runs import StoredRun
from kndb_serve.charts.stacks import Stack, stacks
from kndb_serve.page import Chart, Choice, Form, Page, Part, Table
from kndb_serve.view import View, found_or, run_name

_HEADS = {
    "n_one": "in first",
    "n_other": "in second",
    "n_shared": "in both",
    "n_lost": "only in first",
    "n_gained": "only in second",
    "score_one": "first score",
    "score_other": "second score",
}
_BINS = 10
_NO_PAIR = (
    "Two runs of models of the same size can be compared, and there are none; ingest the facts "
    "with another model or preset."
)


def compare(view: View) -> Page:
    """The runs ``a`` and ``b``; without them, the newest and the next that can be compared.

    Raises:
        NotFound: there is no such run.
        UsageError: the runs cannot be compared.
    """
    first, second = _two(view)
    if first is None or second is None:
        runs = Table("runs", "Runs", view.remember("run list", view.db.runs))
        return Page("Compare", "compare", [runs], _NO_PAIR)
    form = Form([_choice(view, "a", "First run", first), _choice(view, "b", "Second run", second)])
    layers = _difference(view, first, second, "layer")
    facts = _difference(view, first, second, "fact").rows
    total = layers.total
    parts: list[Part] = [form]
    if total["jaccard"] is not None:
        parts += _charts(first, layers, facts)
    parts += [
        _table("layers", "By layer", layers.rows),
        _table("facts", "By fact", _by_jaccard(facts), "Those that changed most come first."),
        _table("languages", "By language", _difference(view, first, second, "language").rows),
        _table(
            "changes",
            "Neurons in one run only",
            _difference(view, first, second, "neuron").rows,
            "For each fact and language: lost, in the first run only; gained, in the second only.",
        ),
        _membership(view, first, second),
    ]
    about = {_HEADS[name]: total[name] for name in ("n_lost", "n_shared", "n_gained")} | {
        "jaccard": total["jaccard"]
    }
    return Page(f"{_short(first)} and {_short(second)}", "compare", parts, _lead(layers), about)


def _two(view: View) -> tuple[StoredRun | None, StoredRun | None]:
    """The runs that are asked for, or else the first two of one size."""
    asked = [view.asked.text(name) for name in ("a", "b")]
    first, second = (view.run_named(name) if name else None for name in asked)
    if first and second:
        return first, second
    pairs = product([first] if first else view.runs, [second] if second else view.runs)
    alike = [pair for pair in pairs if _alike(*pair)]
    return min(alike, key=_unlike, default=(first, second))


def _alike(one: StoredRun, other: StoredRun) -> bool:
    """Whether they can be compared."""
    sizes = [(run.n_layers, run.n_neurons) for run in (one, other)]
    return one.run_id != other.run_id and sizes[0] == sizes[1]


def _unlike(pair: tuple[StoredRun, StoredRun]) -> tuple[bool, bool]:
    """Pairs of one data set and one model come first."""
    one, other = pair
    return one.dataset != other.dataset, one.model != other.model


def _choice(view: View, name: str, label: str, run: StoredRun) -> Choice:
    offered = [(str(one.run_id), run_name(one)) for one in view.runs]
    return Choice(name, label, offered, str(run.run_id))


def _short(run: StoredRun) -> str:
    return run.name or f"{run.model}, {run.preset}"


def _difference(view: View, first: StoredRun, second: StoredRun, by: DiffBy) -> Difference:
    ids = first.run_id, second.run_id
    return view.remember(("diff", *ids, by), lambda: view.db.diff(*ids, by))


def _lead(found: Difference) -> str:
    said = _scores(found)
    if found.one.model_id != found.other.model_id:
        said += (
            " The models' weights differ: a neuron of the same name is the same neuron only where "
            "one model was made from the other, as by fine-tuning."
        )
    return said


def _scores(found: Difference) -> str:
    scores = found.scores
    prompts = f"Both runs have done {scores.n_both:,} prompts"
    if not scores.n_both:
        return "The runs have no prompt in common, so there is nothing to compare."
    if scores.equal:
        return f"{prompts}, with the same scores to the bit."
    if scores.largest is None:
        return f"{prompts}; one of them has no scores to compare."
    return f"{prompts}. Their scores differ by up to {scores.largest:.2g} of a prompt's highest."


def _charts(run: StoredRun, layers: Difference, facts: Result) -> list[Part]:
    rows = {row["layer"]: row for row in layers.rows.to_dicts()}
    counts = [_counts(layer, rows.get(layer)) for layer in range(run.n_layers)]
    shares = [_share(layer, rows.get(layer)) for layer in range(run.n_layers)]
    overall = layers.total["jaccard"]
    highest = max([overall, *(share.parts[0] for share in shares)])
    line = (overall, f"all layers {overall:.3f}")
    return [
        Chart(
            "Neurons in one run and in both",
            partial(stacks, counts, "Neurons by layer", ("in both", "only first", "only second")),
            "Knowledge neurons of each fact and language, layer by layer.",
            "layers",
        ),
        Chart(
            "Jaccard by layer",
            partial(stacks, shares, "Jaccard index by layer", highest=highest, line=line),
            "Neurons in both runs, as a share of those in either.",
            "layers",
        ),
        Chart(
            "Jaccard by fact",
            partial(stacks, _bins(facts), "Facts by Jaccard index"),
            "How many facts have which index: right, the runs agree.",
            "facts",
        ),
    ]


def _counts(layer: int, row: dict[str, Any] | None) -> Stack:
    parts = [row[name] if row else 0 for name in ("n_shared", "n_lost", "n_gained")]
    both, lost, gained = parts
    told = f"layer {layer}: {both:,} in both, {lost:,} only in first, {gained:,} only in second"
    return Stack(str(layer), parts, told)


def _share(layer: int, row: dict[str, Any] | None) -> Stack:
    share = (row or {}).get("jaccard") or 0.0
    return Stack(str(layer), [share], f"layer {layer}: {share:.3f}")


def _bins(facts: Result) -> list[Stack]:
    counts = [0] * _BINS
    for row in facts.to_dicts():
        counts[min(int(row["jaccard"] * _BINS), _BINS - 1)] += 1
    ranges = [(at / _BINS, (at + 1) / _BINS) for at in range(_BINS)]
    return [
        Stack(f"{low:.1f}–{high:.1f}", [count], f"{count:,} facts from {low:.1f} to {high:.1f}")
        for (low, high), count in zip(ranges, counts, strict=True)
    ]


def _by_jaccard(facts: Result) -> Result:
    at = facts.columns.index("jaccard")
    return Result(facts.columns, facts.types, sorted(facts, key=lambda row: row[at]))


def _table(name: str, title: str, rows: Result, about: str = "") -> Table:
    empty = "The runs have no facts in common."
    return Table(name, title, rows, about, empty, _HEADS, bars=("jaccard",))


def _membership(view: View, first: StoredRun, second: StoredRun) -> Table:
    """How many of the model's neurons belong to any fact in either run, in both, in neither."""
    one, other = (_neurons(view, run) for run in (first, second))
    total = first.n_layers * first.n_neurons
    counts = {
        "in both": len(one & other),
        "only in first": len(one - other),
        "only in second": len(other - one),
        "in neither": total - len(one | other),
    }
    rows = [(name, count, count / total) for name, count in counts.items()]
    return Table(
        "neurons",
        "Neurons of the model",
        Result(
            ("is a knowledge neuron", "neurons", "share"), ("VARCHAR", "BIGINT", "DOUBLE"), rows
        ),
        "Of any fact, those of one run included.",
        bars=("share",),
    )


def _neurons(view: View, run: StoredRun) -> set[tuple[int, int]]:
    found, _ = view.remember(
        ("all neurons", run.run_id), lambda: found_or(lambda: view.db.neurons(run=run.run_id))
    )
    return {(row[0], row[1]) for row in found}
