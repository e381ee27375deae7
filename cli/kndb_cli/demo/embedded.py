"""The tour of two small embedded models, on embedded facts."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import kndb
from kndb.errors import KndbError
from kndb_cli.demo.tour import one_thread, say, show
from kndb_cli.output.terminal import note

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


def embedded(db: Path, limit: int, quiet: bool) -> None:
    """The tour of the two embedded models."""
    one_thread()
    for model in ("demo-masked", "demo-causal"):
        chosen = ("--model", model, "--dataset", "demo", "--limit", str(limit))
        show("ingest", *chosen, db=db, quiet=quiet)
    with kndb.open(db) as database:
        telling = database.sql(_TELLING).rows()
    if not telling:
        raise KndbError(f"The demo found no neurons for {limit} facts; give a higher --limit.")
    ((fact, neuron),) = telling
    say("The neurons with which the models recall one fact, in each language:")
    show("query", "--fact", fact, "--top", str(_TOP), db=db)
    say(f"Conversely, the facts that use neuron {neuron}:")
    show("query", "--neuron", neuron, "--model", "demo-masked", "--lang", "en", db=db)
    say("Any other question, in SQL: in how many languages does a fact use the same neuron?")
    show("sql", _COUNT, db=db)
    _discoveries(db, quiet)
    note(f"To explore {db}, see kndb --help, or kndb db schema for SQL.", quiet)


def _discoveries(db: Path, quiet: bool) -> None:
    """The paper's two discoveries: language-independent and degenerate neurons."""
    causal = ("--model", "demo-causal")
    say("Languages share neurons, far more than expected by chance:")
    show("graph", "overlap", "--by", "language-pair", *causal, db=db)
    say("Neurons stand in for each other: the answer survives losing either, but not both:")
    searched = ("--limit", "8", "--top", "10")
    show(
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
        show("graph", "groups", "--fact", fact, *causal, db=db)
    _pictures(db, causal, [*("languages", "neuron-map"), *(["degenerate"] if found else [])])


def _pictures(db: Path, which: tuple[str, ...], kinds: list[str]) -> None:
    if find_spec("matplotlib") is None:
        note("For pictures, install the extra with pip install 'kndb[plot]'.")
        return
    say("Pictures:")
    for kind in kinds:
        show("graph", "plot", kind, *which, "-o", str(db.with_name(f"{db.stem}-{kind}.png")), db=db)
