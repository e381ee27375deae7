"""``kndb diff``: two runs against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kndb_cli import completion, options
from kndb_cli.database import opened
from kndb_cli.output import choose, emit
from kndb_cli.output.terminal import note

if TYPE_CHECKING:
    from kndb.store.run_diff import Difference, ScoreDifference

app = typer.Typer()

_RUN = "A run's name, id or first digits; or a model or a preset, for its newest finished run."


def _run(help: str) -> Any:
    return typer.Argument(
        metavar="RUN", help=help, show_default=False, autocompletion=completion.runs
    )


@app.command()
def diff(
    one: Annotated[str, _run(_RUN)],
    other: Annotated[str, _run("The other.")],
    by: Annotated[
        Literal["all", "layer", "fact", "relation", "language", "neuron"],
        typer.Option(
            metavar="BY",
            help="One row for all, or per layer, fact, relation or language; neuron: each neuron "
            "gained or lost.",
        ),
    ] = "layer",
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.Limit = None,
    quiet: options.Quiet = False,
) -> None:
    """Compare two runs: knowledge neurons shared, gained and lost, and whether scores are equal.

    kndb diff demo-masked demo-causal
    kndb diff demo-masked demo-causal --by neuron --limit 20

    For example two presets, or a model before and after fine-tuning. Facts are compared in the
    languages in which both runs asked them.
    """
    target = choose(format, json, output, quiet, limit)
    with opened(db) as database:
        found = database.diff(one, other, by)
    emit(found.rows, target)
    note(_summary(found), quiet)


def _summary(found: Difference) -> str:
    whole = found.total
    jaccard = "unknown" if whole["jaccard"] is None else f"{whole['jaccard']:.3f}"
    differ = found.one.model_id != found.other.model_id
    return "\n".join(
        [
            f"Of {found.one.described} to {found.other.described}:",
            f"  neurons  {whole['n_one']:,} and {whole['n_other']:,}, {whole['n_shared']:,} shared "
            f"(Jaccard {jaccard}), {whole['n_lost']:,} lost, {whole['n_gained']:,} gained",
            *(["  models   differ: a neuron is compared with the one in its place"] * differ),
            f"  prompts  {_prompts(found.scores)}",
            f"  scores   {_scores(found.scores)}",
        ]
    )


def _prompts(scores: ScoreDifference) -> str:
    if scores.same_prompts:
        return f"the same {scores.n_both:,}"
    return f"{scores.n_one:,} and {scores.n_other:,}, {scores.n_both:,} the same"


def _scores(scores: ScoreDifference) -> str:
    if scores.largest is None:
        return "none to compare"
    if scores.largest == 0 and scores.n_alone == 0:
        return f"all {scores.n_scores:,} equal, to the bit"
    said = f"{scores.n_scores:,} in both, differing by at most {scores.largest:.2g} of the highest"
    if scores.text is not None:
        said += f" score of their prompt ({scores.neuron} of {scores.text!r})"
    if scores.n_alone:
        said += f"; {scores.n_alone:,} in one only, up to {scores.largest_alone:.2g} of the highest"
    return said
