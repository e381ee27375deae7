"""``kndb factcheck``: check claims against the index."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from kndb.errors import UsageError
from kndb_cli import completion, options
from kndb_cli.errors import ExitCode
from kndb_cli.factcheck.calibrate import calibrate
from kndb_cli.factcheck.claims_input import Claims, opened
from kndb_cli.factcheck.verdicts import (
    COLUMNS,
    OWN,
    Checked,
    Told,
    beside,
    checked,
    layout,
    table_rows,
)
from kndb_cli.options.model import Device, Dtype, Memory, Model, Revision, chosen, loading
from kndb_cli.output import choose
from kndb_cli.output.streaming import stream
from kndb_cli.output.terminal import note
from kndb_cli.parsing import Group


class _CheckByDefault(Group):
    """``kndb factcheck "A claim."`` is short for ``kndb factcheck check "A claim."``.

    So the group's help is that of ``check``, followed by the other command.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "-h", "--help"):
            args = ["check", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        check = self.commands["check"].shell_complete(ctx, incomplete)
        return [*super().shell_complete(ctx, incomplete), *check]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        check = self.commands["check"]
        own = self.help, self.params
        self.help, self.params = check.help, check.params
        try:
            super().format_help(ctx, formatter)
        finally:
            self.help, self.params = own


app = typer.Typer(
    name="factcheck",
    cls=_CheckByDefault,
    no_args_is_help=True,
    subcommand_metavar="| calibrate [OPTIONS]",
    help="Check claims by the neurons with which a model recalls facts.",
)


@app.command()
def check(
    model: Model,
    claims: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLAIM", help="A sentence, or several; - reads standard input."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Read claims from a file: plain lines, or JSONL or CSV with a column claim, whose "
            "other columns are kept; - is standard input.",
        ),
    ] = None,
    fact: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Check a fact instead of a claim: its key, P36:Q962 ..."),
    ] = None,
    answer: Annotated[
        str | None, typer.Option(metavar="ANSWER", help="... and the answer to check: Kigali.")
    ] = None,
    lang: Annotated[
        str,
        typer.Option(
            metavar="LANG",
            help="The claims' language; auto detects it.",
            autocompletion=completion.languages,
        ),
    ] = "auto",
    method: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help="degenerate (the paper's), probability, knowledge or ensemble; auto: the best of "
            "them on the calibration's validation facts, or probability without a calibration.",
        ),
    ] = "auto",
    run: options.CalibratedRun = None,
    always: Annotated[
        bool,
        typer.Option(
            "--always", metavar="", help="Also judge claims that are close to the threshold."
        ),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", metavar="", help="Show what decided: neurons, other answers, or ranks."
        ),
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", metavar="", help="Exit with 1 if a claim is false."),
    ] = False,
    db: options.Database = options.DATABASE,
    device: Device = "auto",
    dtype: Dtype = "float32",
    revision: Revision = None,
    memory: Memory = None,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Check claims: true, false, or unknown with the reason.

    kndb factcheck "The capital of Benin is Porto-Novo." --model demo-masked
    kndb factcheck --fact P36:Q962 --answer Kigali --model demo-masked --explain
    kndb factcheck --file claims.csv --model demo-masked -o verdicts.csv

    Without a calibration, a claim is true if the model finds no other answer of the relation
    likelier. The methods that use neurons need 'kndb graph degenerate --model demo-masked', then
    'kndb factcheck calibrate --model demo-masked', once.
    """
    target = choose(format, json, output, quiet)
    if (fact is None) != (answer is None):
        raise UsageError("--fact and --answer go together; give both.")
    if sum((bool(claims), file is not None, fact is not None)) != 1:
        raise UsageError("Give claims, or --file, or --fact with --answer: one of the three.")
    if claims and claims != ["-"] and (named := next(filter(os.path.isfile, claims), None)):
        raise UsageError(f"{named} is a file; give it with --file.")
    if claims == ["-"]:
        claims, file = None, Path("-")
    choice = chosen(model, device, dtype, revision, memory, quiet=quiet)
    # Deferred: torch and transformers take seconds to import and --help does not need them.
    from kndb.factcheck import FactChecker, check_method
    from kndb.factcheck.claims import Index
    from kndb.model_runs import check_run

    check_method(method)
    with ExitStack() as stack:
        given = Claims.of(claims or ()) if file is None else stack.enter_context(opened(file))
        check_run(db, run)
        if fact is not None and answer is not None:
            Index.read(db).about(fact, answer)  # fails before a model is loaded
        loading(choice, quiet)
        checker = FactChecker(
            db,
            choice.load(),
            method=method,
            lang=None if lang == "auto" else lang,
            run=run,
            band=not always,
            explain=explain,
            memory=choice.memory,
        )
        if fact is not None and answer is not None:
            verdicts: Iterator[Checked] = (
                (verdict, ()) for verdict in checker.check_fact(fact, answer)
            )
        else:
            verdicts = checked(checker, given.lines)
        told = Told()
        rows = table_rows(told.counting(verdicts), explain)
        columns = OWN if explain else COLUMNS
        stream((*columns, *beside(given.columns)), rows, target, layout)
    note(told.summary(), quiet)
    if exit_code and told.counts["false"]:
        raise typer.Exit(ExitCode.FAILED)


app.command()(calibrate)
