"""``kndb demo``: a one-minute tour of kndb on embedded facts and models."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

import kndb
from kndb.errors import KndbError
from kndb_cli import options
from kndb_cli.output.terminal import note, styled, visible

app = typer.Typer()

_TOP = 3

_TELLING = f"""
    SELECT fact_key, layer || ':' || neuron FROM knowledge_neurons
    WHERE model = 'demo-masked' AND lang = 'en'
    QUALIFY row_number() OVER (PARTITION BY fact_key ORDER BY score DESC) <= {_TOP}
    ORDER BY n_langs < 2, abs(count(*) OVER (PARTITION BY layer, neuron) - 4),
             n_langs DESC, score DESC, fact_key
    LIMIT 1
"""
"""A fact and one of its neurons, preferably shared by several languages and about four facts, so
that it is neither used by every fact nor by a single one."""

_COUNT = (
    "SELECT model, n_langs, count(DISTINCT (fact_key, layer, neuron)) AS neurons "
    "FROM knowledge_neurons GROUP BY ALL ORDER BY ALL"
)

_LARGEST = """
    SELECT fact_key FROM degenerate_sets
    WHERE model = 'demo-causal' AND is_degenerate AND kind = 'degenerate'
    GROUP BY fact_key ORDER BY count(*) DESC, fact_key
    LIMIT 1
"""
"""The fact with the most degenerate sets."""


@app.command()
def demo(
    db: Annotated[
        Path, typer.Option("--db", metavar="PATH", help="The database to create or continue.")
    ] = Path("demo.duckdb"),
    limit: Annotated[int, typer.Option(metavar="N", help="Number of embedded facts to use.")] = 40,
    quiet: options.Quiet = False,
) -> None:
    """See kndb at work: two small embedded models, real facts, four languages, no network.

    The demo finds the neurons of both models, queries the database, and leaves it for you to
    explore.
    """
    _one_thread()
    for model in ("demo-masked", "demo-causal"):
        chosen = ("--model", model, "--dataset", "demo", "--limit", str(limit))
        _show("ingest", *chosen, db=db, quiet=quiet)
    with kndb.open(db) as database:
        telling = database.sql(_TELLING).rows()
    if not telling:
        raise KndbError(f"The demo found no neurons for {limit} facts; give a higher --limit.")
    ((fact, neuron),) = telling
    _say("The neurons with which the models recall one fact, in each language:")
    _show("query", "--fact", fact, "--top", str(_TOP), db=db)
    _say(f"Conversely, the facts that use neuron {neuron}:")
    _show("query", "--neuron", neuron, "--model", "demo-masked", "--lang", "en", db=db)
    _say("Any other question, in SQL: in how many languages does a fact use the same neuron?")
    _show("sql", _COUNT, db=db)
    _discoveries(db, quiet)
    note(f"To explore {db}, see kndb --help, or kndb db schema for SQL.", quiet)


def _discoveries(db: Path, quiet: bool) -> None:
    """The paper's two discoveries: language-independent and degenerate neurons."""
    causal = ("--model", "demo-causal")
    _say("Languages share neurons, far more than expected by chance:")
    _show("graph", "overlap", "--by", "language-pair", *causal, db=db)
    _say("Neurons stand in for each other: the answer survives losing either, but not both:")
    searched = ("--limit", "8", "--top", "10")
    _show(
        "graph",
        "degenerate",
        *causal,
        *searched,
        "-o",
        str(db.with_name(f"{db.stem}-sets.csv")),
        db=db,
        quiet=quiet,
    )
    with kndb.open(db) as database:
        found = database.sql(_LARGEST).rows()
    for (fact,) in found:
        _show("graph", "groups", "--fact", fact, *causal, db=db)
    _pictures(db, causal, [*("languages", "neuron-map"), *(["degenerate"] if found else [])])


def _pictures(db: Path, which: tuple[str, ...], kinds: list[str]) -> None:
    if find_spec("matplotlib") is None:
        note("For pictures, install the extra with pip install 'kndb[plot]'.")
        return
    _say("Pictures:")
    for kind in kinds:
        _show(
            "graph", "plot", kind, *which, "-o", str(db.with_name(f"{db.stem}-{kind}.png")), db=db
        )


def _one_thread() -> None:
    """Limit torch to one thread.

    The demo models are too small to benefit from more, and on a busy machine, threads that wait for
    each other make it many times slower.
    """
    import torch

    torch.set_num_threads(1)


def _say(text: str) -> None:
    print(f"\n{styled(text, 'bold', sys.stdout)}")


def _show(*args: str, db: Path, quiet: bool = False) -> None:
    """Print a command as a user would type it, and run it."""
    # Deferred: main imports this module.
    from kndb_cli.main import application

    full = [*args, "--db", str(db), *(["--quiet"] if quiet else [])]
    if args[0] != "ingest" and "-o" not in args and not sys.stdout.isatty():
        full += ["--format", "table"]
    print(styled(f"$ kndb {visible(shlex.join(full))}", "dim", sys.stdout), flush=True)
    application(full)(args=full, prog_name="kndb", standalone_mode=False)
    sys.stdout.flush()
