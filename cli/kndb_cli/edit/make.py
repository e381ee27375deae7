"""``kndb edit``: change what a model knows through its neurons, and measure what happened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from kndb.errors import KndbError, NotFound, UsageError
from kndb_cli import options
from kndb_cli.edit import ledger as edit_ledger
from kndb_cli.edit.tables import emit_ledger
from kndb_cli.errors import resumable
from kndb_cli.options import edit as edit_options
from kndb_cli.options import model as model_options
from kndb_cli.output import Output, choose
from kndb_cli.output.progress import reporting
from kndb_cli.output.rows import Listing
from kndb_cli.output.terminal import note

if TYPE_CHECKING:
    from kndb.edit.request import EditRequest, EditSummary, Job

app = typer.Typer(name="edit", invoke_without_command=True)
app.command("list")(edit_ledger.list_)
app.command()(edit_ledger.show)
app.command()(edit_ledger.undo)
app.command()(edit_ledger.apply)

_REASONS = 20
"""The most reasons for skipping that a summary lists."""


@app.callback()
def edit(
    context: typer.Context,
    model: edit_options.Model = None,
    db: options.Database = options.DATABASE,
    run: edit_options.Run = None,
    fact: edit_options.Fact = None,
    relation: edit_options.Relation = None,
    file: edit_options.File = None,
    mode: edit_options.Mode = None,
    target: edit_options.Target = None,
    target_lang: edit_options.TargetLang = None,
    label: edit_options.Label = None,
    neurons: edit_options.Neurons = "sequential",
    langs: edit_options.Langs = None,
    strength: edit_options.Strength = None,
    auto: edit_options.Auto = False,
    top: edit_options.Top = 20,
    dry_run: edit_options.DryRun = False,
    held_out: edit_options.HeldOut = 1,
    unrelated: edit_options.Unrelated = 50,
    seed: edit_options.Seed = 0,
    device: model_options.Device = "auto",
    dtype: model_options.Dtype = "float32",
    revision: model_options.Revision = None,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Edit a fact through its neurons, measure the effect on it and on others, and keep a ledger.

    kndb edit --model demo-masked --fact P36:Q962 --target Kigali --target-lang en
    kndb edit --model demo-masked --fact P36:Q962 --target Kigali --target-lang en --auto
    kndb edit --model demo-masked --fact P36:Q962 --target Kigali --target-lang en --mode fit
    kndb edit --model demo-masked --fact P36:Q962 --mode erase --langs en,zh
    kndb edit --model demo-masked --file edits.jsonl
    kndb edit apply ID --model demo-masked --save edited

    The model's files do not change; 'apply' writes an edited copy. The control is the same edit
    of random neurons.
    """
    if context.invoked_subcommand is not None:
        return
    if model is None or (fact is None) == (file is None):
        raise UsageError(
            "An edit needs --model and either --fact or --file; see 'kndb edit --help'."
        )
    where = choose(format, json, output, quiet)
    choice = model_options.chosen(model, device, dtype, revision, quiet=quiet)
    # Here, because only this needs torch and transformers: saves seconds at each start.
    from kndb.edit.jobs_file import count_edits, read_edits
    from kndb.edit.plan import DEFAULT_STRENGTH, EditSettings
    from kndb.edit.request import EditRequest, Job, check_device
    from kndb.edit.scores import REWRITING
    from kndb.model_runs import check_run

    rewriting = mode if mode in REWRITING else "update"
    # Records in a file have their own targets.
    default = rewriting if target is not None else "erase"
    settings = EditSettings(
        mode=default if mode is None or (file and mode in REWRITING) else mode,  # type: ignore[arg-type]
        neurons=neurons,
        target=target,
        target_lang=target_lang,
        labels=_labels(label or []),
        langs=options.listed(langs),
        strength=DEFAULT_STRENGTH if strength is None else strength,
        top=top,
        held_out=held_out,
        unrelated=unrelated,
        seed=seed,
    )
    if file is None and mode is None and target is None and not auto:
        raise UsageError("An edit needs --mode, or --target for an update.")
    check_device(choice, settings)
    check_run(db, run, fact, relation)
    request = EditRequest(db, choice, run, dry_run)
    if auto and (problem := _not_for_auto(file, strength, mode, target)):
        raise UsageError(f"--auto searches --lambda for one edit to a new answer; {problem}.")
    if file is not None:
        _many(request, read_edits(file, settings, rewriting), count_edits(file), where)
        return
    if strength is not None and settings.mode != "update":
        raise UsageError(f"--lambda is for --mode update; {settings.mode} has none.")
    assert fact is not None
    _one(request, Job(fact, settings, relation), where, auto)


def _not_for_auto(
    file: object, strength: float | None, mode: str | None, target: str | None
) -> str | None:
    """What there is to change in a command with ``--auto``; None if nothing."""
    if file is not None:
        return "leave out --file"
    if strength is not None:
        return "leave out --lambda"
    if mode not in (None, "update"):
        return f"--mode {mode} has none"
    return "name the answer with --target" if target is None else None


def _labels(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for text, (lang, _, answer) in zip(texts, pairs, strict=True):
        if not (lang and answer):
            raise UsageError(f"{text!r} is not a label; write LANG=ANSWER, for example zh=基加利.")
    return {lang: answer for lang, _, answer in pairs}


def _one(request: EditRequest, job: Job, where: Output, auto: bool) -> None:
    """Make one edit, and show what it did to each prompt."""
    from kndb.edit.ledger import measure_rows
    from kndb.models.choice import loaded_once

    model_options.loading(request.model, where.quiet)
    with loaded_once():
        if auto:
            job = _with_strength(request, job, where.quiet)
        done = _edit(request, [job], 1, where.quiet)
    if done.skipped:
        raise NotFound(f"Nothing was edited: {next(iter(done.skipped))}.")
    if done.last is None:
        note("This edit is already in the ledger.", where.quiet)
        edit_ledger.show_edit(request.database, str(done.edit_ids[0]), where)
        return
    rows = [
        {name: value for name, value in row.items() if name != "prompt_id"}
        for row in measure_rows(done.last.measured, done.last.settings)
    ]
    if not rows:
        raise KndbError("The model cannot be asked any of the edit's prompts.")
    edit_ledger.emit_edit(_listing(rows), _facts(done, request), where)
    stored = "nothing was stored" if request.dry_run else f"edit {done.edit_ids[0]}"
    note(f"  {stored}, {done.seconds:.1f} s", where.quiet)


def _with_strength(request: EditRequest, job: Job, quiet: bool) -> Job:
    """The same edit with the smallest lambda that does it."""
    from kndb.edit.strength import search_strength

    found = search_strength(request, job)
    if found is None:
        return job
    won = f"{round(found.share * found.prompts)} of the fact's {found.prompts} own prompts"
    random = ""
    if found.control is not None:
        random = f"; with random neurons, {round(found.control * found.prompts)} do"
    note(
        f"lambda {found.value:g}: with four fifths of it, {won} take the new answer{random}.", quiet
    )
    return replace(job, settings=replace(job.settings, strength=found.value))


def _listing(rows: list[dict[str, Any]]) -> Listing:
    return Listing(tuple(rows[0]), [tuple(row.values()) for row in rows])


def _facts(done: EditSummary, request: EditRequest) -> dict[str, Any]:
    """The columns of the view ``edits`` that the summary in words needs."""
    last = done.last
    assert last is not None
    assert last.scores is not None
    return {
        "fact_key": last.plan.fact.key,
        "subject": edit_ledger.subject_of(request.database, last.plan.fact.key, last.plan.lang),
        "mode": last.settings.mode,
        "target": last.settings.target,
        "strength": last.settings.strength if last.settings.mode == "update" else None,
        "selection": last.settings.neurons,
        "n_neurons": len(last.plan.neurons),
        "reliability": last.scores.reliability,
        "generality": last.scores.generality,
        "transfer": last.scores.transfer,
        "locality": last.scores.locality,
        "harmonic": last.scores.harmonic,
        "control_harmonic": last.control.harmonic if last.control else None,
        "edit_id": None if request.dry_run else last.edit_id,
    }


def _many(request: EditRequest, jobs: Any, total: int, where: Output) -> None:
    """Make the edits in a file, and show their rows in the ledger."""
    model_options.loading(request.model, where.quiet)
    done = _edit(request, jobs, total, where.quiet)
    if not request.dry_run:
        emit_ledger(edit_ledger.ledger_rows(request.database, done.edit_ids), where)
    elif done.measured:
        emit_ledger(_listing(done.measured), where)
    known = "nothing was stored" if request.dry_run else f"{done.known:,} were in the ledger"
    note(f"{done.model}: {done.made:,} edits made in {done.seconds:.1f} s, {known}.", where.quiet)
    for reason, n in done.skipped.most_common(_REASONS):
        note(f"  skipped {n:,}: {reason}", where.quiet)
    if len(done.skipped) > _REASONS:
        note(f"  and {len(done.skipped) - _REASONS:,} other reasons", where.quiet)


def _edit(request: EditRequest, jobs: Any, total: int, quiet: bool) -> EditSummary:
    """Edit with a progress bar on stderr."""
    # Here, because only this needs torch and transformers: saves seconds at each start.
    from kndb.edit.batch import edit as make

    kept = "Finished work is stored; run the same command again to continue."
    with resumable(kept, quiet), reporting(request.model.label, "edits", quiet) as report:
        return make(request, jobs, total, report)
