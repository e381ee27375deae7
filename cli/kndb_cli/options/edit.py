"""The options of ``kndb edit``, each defined once. No command logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kndb_cli import completion
from kndb_cli.options import langs_option, run_option
from kndb_cli.options.model import of_run

_WHAT = "What to edit"
_MEASURE = "What is measured"

Model = Annotated[
    str | None,
    typer.Option(
        envvar="KNDB_MODEL",
        metavar="MODEL",
        help="The run's model: a Hugging Face id, a folder, a GGUF file, or a demo model.",
        callback=of_run,
        autocompletion=completion.loadable,
    ),
]
Run = Annotated[str | None, run_option(_WHAT)]
Fact = Annotated[
    str | None,
    typer.Option(
        metavar="FACT",
        help="A fact's key (P36:Q962), a prompt, or words of its subject.",
        rich_help_panel=_WHAT,
    ),
]
Relation = Annotated[
    str | None,
    typer.Option(
        metavar="RELATION",
        help="Its relation, if the subject has several facts: P36, capital.",
        autocompletion=completion.relations,
        rich_help_panel=_WHAT,
    ),
]
File = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Many edits: one JSON object per line (fact, target, target_lang, mode, neurons, "
        "langs, lambda, labels), or CounterFact records.",
        rich_help_panel=_WHAT,
    ),
]
Mode = Annotated[
    str | None,
    typer.Option(
        metavar="MODE",
        help="suppress or enhance, at run time; on the weights: erase, update (push towards the "
        "target) or fit (the smallest change that makes the target the first choice and keeps "
        "other facts). Default: update if --target is given.",
        rich_help_panel=_WHAT,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="ANSWER",
        help="The new answer, in one language; its names in the others come from the data set.",
        rich_help_panel=_WHAT,
    ),
]
TargetLang = Annotated[
    str | None,
    typer.Option(
        metavar="LANG",
        help="The target's language, and the one to edit from. Default: one that has the target.",
        rich_help_panel=_WHAT,
    ),
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LANG=ANSWER",
        help="The new answer's name in another language: zh=基加利. Can be repeated.",
        rich_help_panel=_WHAT,
    ),
]
Neurons = Annotated[
    str,
    typer.Option(
        metavar="WHICH",
        help="sequential: each language's neurons, for that language; one-language: the "
        "target language's, for all; language-independent: those in all; knowledge: those in "
        "any; specific: like sequential, without those of many facts (specific:0.1: of more than "
        "10 % of other relations' facts); degenerate; all-layers:N: the N strongest; layer:N: all "
        "of layer N; or 2:117,3:5.",
        rich_help_panel=_WHAT,
    ),
]
Langs = Annotated[
    list[str] | None,
    langs_option("Languages whose neurons are edited, by default all of the run", _WHAT),
]
Strength = Annotated[
    float | None,
    typer.Option(
        "--lambda",
        metavar="L",
        help="How far an update pushes the row of the most active neuron, in lengths of a typical "
        "row of its layer. Default: 0.8.",
        rich_help_panel=_WHAT,
    ),
]
Auto = Annotated[
    bool,
    typer.Option(
        "--auto",
        metavar="",
        help="Search for lambda: a quarter above the smallest with which the fact's own prompts "
        "take the new answer.",
        rich_help_panel=_WHAT,
    ),
]
Top = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="At most N knowledge neurons of each language, the strongest.",
        rich_help_panel=_WHAT,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        metavar="",
        help="Measure, and store nothing.",
        rich_help_panel=_WHAT,
    ),
]
HeldOut = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Paraphrases per language that are not used to find neurons.",
        rich_help_panel=_MEASURE,
    ),
]
Unrelated = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Facts to measure, in every language, that have another relation and another object; "
        "half as many of the same relation are added.",
        rich_help_panel=_MEASURE,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Seed for drawing paraphrases, other facts and the control's neurons.",
        rich_help_panel=_MEASURE,
    ),
]
