"""``kndb graph degenerate``: search a run for sets of neurons that stand in for each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kndb.plain import counted
from kndb_cli import options
from kndb_cli.errors import resumable
from kndb_cli.options import engine as engine_options
from kndb_cli.options import model as model_options
from kndb_cli.output import choose, emit
from kndb_cli.output.progress import reporting
from kndb_cli.output.terminal import note

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kndb.degenerate.search import SearchRequest
    from kndb.degenerate.summary import SearchSummary
    from kndb.store.result import Result
    from kndb_cli.output.rows import Rows

app = typer.Typer()

_FACTS = "Which facts"
_METHOD = "What counts as degenerate"


@app.command()
def degenerate(
    model: model_options.Model,
    db: options.Database = options.DATABASE,
    run: Annotated[str | None, options.run_option(_FACTS)] = None,
    fact: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FACT",
            help="A fact's key, a prompt, or words of its subject in any language. Can be "
            "repeated.",
            rich_help_panel=_FACTS,
        ),
    ] = None,
    relation: Annotated[list[str] | None, options.relations_option(_FACTS)] = None,
    langs: Annotated[list[str] | None, options.langs_option("Only these languages", _FACTS)] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="At most N facts, sampled with --seed; the same facts in every language.",
            rich_help_panel=_FACTS,
        ),
    ] = None,
    max_size: Annotated[
        int,
        typer.Option(metavar="K", help="Size of the largest sets.", rich_help_panel=_METHOD),
    ] = 2,
    budget: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Try at most N sets of two or more neurons per fact and language, the strongest "
            "neurons first.",
            rich_help_panel=_METHOD,
        ),
    ] = 2000,
    top: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Search the N strongest knowledge neurons of each fact and language.",
            rich_help_panel=_METHOD,
        ),
    ] = 20,
    drop: Annotated[
        str,
        typer.Option(
            metavar="DROP",
            help="relative: the drop as a share of the answer's probability; "
            "absolute: the drop in probability itself.",
            rich_help_panel=_METHOD,
        ),
    ] = "relative",
    t_low: Annotated[
        float,
        typer.Option(
            metavar="T", help="Largest drop allowed for any subset.", rich_help_panel=_METHOD
        ),
    ] = 0.2,
    t_high: Annotated[
        float,
        typer.Option(
            metavar="T", help="The drop of the whole set must exceed this.", rich_help_panel=_METHOD
        ),
    ] = 0.25,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Seed for sampling facts and the control's random neurons.",
            rich_help_panel=_METHOD,
        ),
    ] = 0,
    device: model_options.Device = "auto",
    dtype: model_options.Dtype = "float32",
    revision: model_options.Revision = None,
    memory: model_options.Memory = None,
    devices: engine_options.Devices = None,
    engine: engine_options.Engine = "local",
    ray_address: engine_options.RayAddress = None,
    workers: engine_options.Workers = None,
    gpus_per_worker: engine_options.GpusPerWorker = None,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Search a run for degenerate neurons: sets that can be missed in part, but not as a whole.

    kndb graph degenerate --model demo-masked --limit 20
    kndb graph degenerate --model demo-masked --fact Benin --max-size 3
    kndb graph degenerate --model demo-masked --engine ray --workers 2

    As a control, the same sets are tried with random neurons. Ctrl-C loses nothing: run the same
    command again to continue.
    """
    target = choose(format, json, output, quiet)
    choice = model_options.chosen(model, device, dtype, revision, memory, quiet=quiet)
    # Deferred: importing torch and transformers takes seconds.
    from kndb.degenerate.criterion import Criterion
    from kndb.degenerate.search import SearchRequest

    criterion = Criterion(max_size, budget, drop, t_low, t_high)  # type: ignore[arg-type]
    request = SearchRequest(
        database=db,
        model=choice,
        run=run,
        criterion=criterion,
        top=top,
        fact=fact or None,
        relation=relation or None,
        langs=options.listed(langs),
        limit=limit,
        seed=seed,
        **engine_options.placement(devices, engine, ray_address, workers, gpus_per_worker),
    )
    found = search(request, quiet)
    emit(found_sets(db, found), target, _table)
    note(summary(found), quiet)


def _table(data: Rows) -> RenderableType:
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb_cli.output.fitting import narrowing

    return narrowing(data, ("fact_key", "lang", "neurons", "drop_share", "p_before", "p_after"))


def search(request: SearchRequest, quiet: bool) -> SearchSummary:
    """Search with a progress bar on stderr."""
    # Deferred: importing torch and transformers takes seconds.
    from kndb.degenerate.search import find_degenerate

    kept = "Finished work is stored; run the same command again to continue."
    model_options.loading(request.model, quiet)
    with resumable(kept, quiet), reporting(request.model.label, "fact-languages", quiet) as report:
        return find_degenerate(request, report)


def found_sets(db: Path, found: SearchSummary) -> Result:
    """The degenerate sets of the requested facts and languages."""
    # Deferred: --help needs no library.
    from kndb.graph.sets import sets_of_search
    from kndb.store.database import connect

    facts = sorted({fact_id for fact_id, _ in found.asked})
    langs = sorted({lang.lower() for _, lang in found.asked})
    with connect(db) as connection:
        return sets_of_search(connection, found.search_id, facts, langs)


def summary(found: SearchSummary) -> str:
    """The figures of a search, one per line, for the requested facts and languages.

    Counts are of fact-languages: a search treats each language of a fact separately.
    """
    return "\n".join([_headline(found), *(f"  {name:<10} {text}" for name, text in _lines(found))])


def _headline(found: SearchSummary) -> str:
    if found.new == 0:
        return f"Nothing to do: these facts of {found.model} have already been searched."
    before = len(found.asked) - found.new
    return (
        f"{found.model}: searched {counted(found.new, 'fact-language')} in {found.seconds:.1f} s "
        f"({found.new / max(found.seconds, 1e-9):.1f}/s)"
        + (f"; {before:,} had already been searched." if before else ".")
    )


def _lines(found: SearchSummary) -> Iterator[tuple[str, str]]:
    if found.workers:
        yield "workers", ", ".join(f"{name} {n:,}" for name, n in found.workers.items())
    facts = len({fact_id for fact_id, _ in found.asked})
    questions = counted(len(found.asked), "fact-language")
    yield "requested", f"{counted(facts, 'fact')} ({questions})"
    for reason, n in found.skipped.items():
        yield "skipped", f"{n:,} {reason}"
    if found.partly:
        yield "budget", f"left sets untried in {counted(found.partly, 'fact-language')}"
    yield "tried", f"{found.tried:,} sets in {counted(found.questions, 'fact-language')}"
    sizes = ", ".join(f"{n:,} of {size} neurons" for size, n in found.found.items())
    yield "degenerate", f"{sizes or 'none'}{_rate(sum(found.found.values()), found.tried)}"
    yield "by chance", f"{found.control_found:,}{_rate(found.control_found, found.control)}"
    yield "found in", f"{found.carriers:,} of {counted(found.questions, 'fact-language')}"
    yield "search", f"{found.search_id} (for --search)"


def _rate(n: int, of: int) -> str:
    """A percentage in brackets, or nothing if ``of`` is 0.

    >>> _rate(32, 12712)
    ' (0.25 %)'
    """
    return f" ({100 * n / of:.2g} %)" if of else ""
