"""Claims: true, false or unknown, with what decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kndb.store import ids
from kndb.store.result import Result
from kndb_serve.asked import address
from kndb_serve.judge import Judge
from kndb_serve.page import Choice, Form, Line, Page, Part, Table
from kndb_serve.pages.lists import lang_choice
from kndb_serve.view import NOTHING, View

if TYPE_CHECKING:  # importing it for real would take seconds, torch included
    from kndb.factcheck import Verdict

_F1 = "F1 is how good the method was on validation facts, with its 95 % interval."
_COLUMNS = {
    "claim": "VARCHAR",
    "fact_key": "VARCHAR",
    "lang": "VARCHAR",
    "verdict": "VARCHAR",
    "score": "DOUBLE",
    "threshold": "DOUBLE",
    "p_claim": "DOUBLE",
    "p_best": "DOUBLE",
    "best_answer": "VARCHAR",
    "neurons": "BIGINT",
    "method": "VARCHAR",
    "f1": "DOUBLE",
    "f1_low": "DOUBLE",
    "f1_high": "DOUBLE",
    "reason": "VARCHAR",
}


def claims(judge: Judge, view: View) -> Page:
    """The claim that is asked for; without it, the form alone.

    Raises:
        Busy: other claims wait.
    """
    claim = view.asked.text("claim")
    lang = lang_choice(view)
    example = "The capital of Benin is Porto-Novo."
    form = Form(
        [
            Line("claim", "Claim", claim or "", example),
            Choice(lang.name, lang.label, [("", "any"), *lang.options[1:]], lang.value),
        ],
        verb="Check",
    )
    name = judge.model.info.name
    if claim is None:
        empty = Table("verdict", "Verdict", NOTHING, empty="Claim something in one sentence.")
        return Page("Claims", "fact check", [form, empty], "", {"model": name})
    verdict = judge.check(view, claim, lang.value or None)
    return Page(
        verdict.verdict.capitalize(),
        "fact check",
        [form, *_parts(verdict, _run(view, judge))],
        _reason(verdict),
        {"model": name, "method": verdict.method},
    )


def _reason(verdict: Verdict) -> str:
    """Why the verdict is as it is, in a sentence or two."""
    if verdict.score is None or verdict.threshold is None:
        return f"Unknown: {verdict.reason}."
    compared = {"true": "reaches", "false": "is below"}.get(verdict.verdict, "is close to")
    said = f"Its score, {verdict.score:.4g}, {compared} {verdict.threshold:.4g}."
    if verdict.best_answer is not None and verdict.p_best is not None:
        said += f" The model's own first choice is {verdict.best_answer!r} ({verdict.p_best:.1%})."
    return said if verdict.reason is None else f"{said} Unknown: {verdict.reason}."


def _run(view: View, judge: Judge) -> str | None:
    """The newest run of the judge's model: other models have neurons of the same names."""
    info = judge.model.info
    model_id = ids.model_id(info.weights_sha256, info.architecture)
    return next((str(run.run_id) for run in view.runs if run.model_id == model_id), None)


def _parts(verdict: Verdict, run: str | None) -> list[Part]:
    values = tuple(getattr(verdict, name) for name in _COLUMNS)

    def neuron(row: dict[str, Any]) -> str:
        return address("neuron", row["neuron"], {"run": run})

    decided = [(str(neuron), score) for neuron, score in verdict.decided]
    return [
        Table(
            "verdict",
            "Verdict",
            Result(tuple(_COLUMNS), tuple(_COLUMNS.values()), [values]),
            _F1 if verdict.f1 is not None else "",
        ),
        Table(
            "neurons",
            "Neurons that decided",
            Result(("neuron", "attribution"), ("VARCHAR", "DOUBLE"), decided),
            "Their attributions with the claimed answer.",
            empty="No neurons are behind this method's score.",
            bars=("attribution",),
            link=neuron,
        ),
        Table(
            "weighed",
            "What else was weighed",
            Result(("name", "number"), ("VARCHAR", "DOUBLE"), list(verdict.weighed)),
            empty="Nothing else was.",
            bars=("number",),
        ),
    ]
