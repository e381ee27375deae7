"""``kndb edit list|show|undo|apply``: the ledger of edits, and edited models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import kndb
from kndb.errors import KndbError
from kndb.store.result import Result
from kndb_cli import completion, options
from kndb_cli.edit.tables import emit_ledger, emit_measured
from kndb_cli.edit.words import in_words
from kndb_cli.output import Output, choose, opened
from kndb_cli.output.rows import Rows
from kndb_cli.output.terminal import note

EditId = Annotated[
    str, typer.Argument(metavar="ID", help="An edit's id, or its first digits.", show_default=False)
]
_SHARES = ("reliability", "generality", "transfer", "locality", "harmonic")


def list_(
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.NewestLimit = None,
    quiet: options.Quiet = False,
) -> None:
    """List the edits in the ledger, and how well each did."""
    target = choose(format, json, output, quiet, limit)
    emit_ledger(ledger_rows(db, None), target)


def ledger_rows(db: Path, ids: Sequence[int] | None) -> Result:
    """The ledger's rows for these edits, or for all."""
    # Deferred: --help and completion need no database.
    from kndb.store.edits import Ledger

    return Ledger(db, wait=10).list(ids)


def show(
    edit: EditId,
    db: options.Database = options.DATABASE,
    delta: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the weight change to this file, as safetensors."),
    ] = None,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Show what an edit did to each prompt, and a summary."""
    where = choose(format, json, output, quiet)
    show_edit(db, edit, where)
    if delta is not None:
        _write_delta(db, edit, delta)


def show_edit(db: Path, asked: str, where: Output) -> None:
    """Write an edit's measurements, and a summary in words."""
    from kndb.store.edits import Ledger

    ledger = Ledger(db)
    found = ledger.find(asked)
    rows = ledger.show(found.edit_id)
    (edit,) = ledger_rows(db, [found.edit_id]).to_dicts()
    emit_edit(rows, edit, where)
    if edit["status"] not in ("stored", "measured"):
        note(f"  {edit['status']}{': ' + edit['reason'] if edit['reason'] else ''}", where.quiet)


def emit_edit(rows: Rows, edit: Mapping[str, Any], where: Output) -> None:
    """Write what an edit did to each prompt, and a summary in words, which JSON holds too."""
    every = [dict(zip(rows.columns, row, strict=True)) for row in rows.rows()]
    told = _summary(every, edit) if every else []
    emit_measured(rows, {**edit, "in_words": [line.strip() for line in told]}, where)
    if told:
        note("\n".join(told), where.quiet)


def subject_of(db: Path, fact_key: str, lang: str) -> str | None:
    """The name of a fact's subject in a language."""
    with kndb.open(db) as database:
        rows = database.sql(
            "SELECT any_value(subject) FROM facts WHERE fact_key = $key AND lang = $lang",
            {"key": fact_key, "lang": lang},
        ).rows()
    return str(rows[0][0]) if rows[0][0] else None


def _summary(rows: Sequence[Mapping[str, Any]], edit: Mapping[str, Any]) -> list[str]:
    """An edit in sentences: the change, its effects, and the comparison with random neurons."""
    shares = ", ".join(f"{name} {_percent(edit[name])}" for name in _SHARES)
    return [
        f"{edit['mode']} of {_named(edit)}: {edit['n_neurons']} neurons ({edit['selection']}).",
        *(f"  {line}" for line in in_words(rows, edit["mode"], edit["target"])),
        f"  {shares}; with random neurons {_percent(edit['control_harmonic'])}.",
    ]


def _named(edit: Mapping[str, Any]) -> str:
    return f"{edit['fact_key']} ({edit['subject']})" if edit["subject"] else str(edit["fact_key"])


def _percent(share: float | None) -> str:
    """A share as a percentage.

    >>> _percent(0.5), _percent(None)
    ('50 %', 'unknown')
    """
    return "unknown" if share is None else f"{100 * share:.0f} %"


def _write_delta(db: Path, asked: str, path: Path) -> None:
    from kndb.store.edits import Ledger

    found = Ledger(db).find(asked)
    if found.delta is None:
        raise KndbError(f"The edit {found.edit_id} ({found.mode}) changes no weights.")
    with opened(path, binary=True) as stream:
        stream.write(found.delta)


def undo(
    edit: EditId,
    db: options.Database = options.DATABASE,
    model: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="An edited model to remove the edit from."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to save that model without the edit."),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Undo an edit: in the ledger and, with --model and --save, in an edited model.

    The weights of a saved model are restored bit for bit. A later edit of the same neurons in it
    must be undone first.
    """
    # Here, because only this needs torch and transformers: saves seconds at each start.
    from kndb.edit.apply import undo_edit

    edit_id = undo_edit(db, edit, model, save)
    where = f", and the model without it is in {save}" if save else ""
    note(f"The edit {edit_id} is undone{where}.", quiet)


def apply(
    edits: Annotated[
        list[str],
        typer.Argument(
            metavar="ID...", help="Edits, in the order to apply them.", show_default=False
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="The model that the edits were made for.",
            autocompletion=completion.loadable,
        ),
    ],
    save: Annotated[
        Path, typer.Option(metavar="DIR", help="The new folder to write the edited model to.")
    ],
    db: options.Database = options.DATABASE,
    revision: Annotated[
        str | None,
        typer.Option(metavar="REVISION", help="Branch, tag or commit of a Hugging Face model."),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a copy of the model with edits in its weights, which from_pretrained loads.

    kndb edit apply ID --model demo-masked --save edited

    DIR/kndb_edits.json lists the edits.
    """
    # Here, because only this needs torch and transformers: saves seconds at each start.
    from kndb.edit.apply import apply_edits

    record = apply_edits(db, edits, model, save, revision)
    n = len(record.edits)
    note(f"Wrote the model with {n} edit{'s'[: n > 1]} in its weights to {save}.", quiet)
