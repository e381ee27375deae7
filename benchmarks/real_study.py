"""What of the paper holds on a pretrained model: kndb's evaluations, one after the other.

    OMP_NUM_THREADS=1 python benchmarks/real_study.py DIR --data MPARAREL --out study.duckdb

DIR is a model's folder, MPARAREL an unpacked mParaRel folder. The database, and beside it the
tables that take long, are made where they are missing: the same command continues after an
interruption, and other ``--steps`` add to what is there. Run one command at a time on a database.
Facts are those that the model knows (``--known``). Every step is a command of kndb's with other
sizes; the tables are printed in Markdown.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kndb.degenerate.search import SearchRequest, find_degenerate
from kndb.edit.batch import edit
from kndb.edit.plan import EditSettings
from kndb.edit.request import EditRequest, Job
from kndb.edit.scores import REWRITING, Mode
from kndb.errors import KndbError
from kndb.evaluation import degenerate, factcheck, faithfulness, localisation
from kndb.evaluation.crosslingual import tables as crosslingual
from kndb.evaluation.factcheck_table import as_table
from kndb.evaluation.readable import readable
from kndb.evaluation.report.files import make_folder, read_table, write_table
from kndb.evaluation.sample import AskedFact, NeuronRequest, Sample, draw_sample
from kndb.evaluation.stored import StoredRequest
from kndb.evaluation.table import Table
from kndb.factcheck.calibration import CalibrationRequest, calibrate
from kndb.factcheck.labelled_claims import parse_split
from kndb.model_runs import model_and_run
from kndb.models import ModelChoice
from kndb_cli.evaluate.tables import overall
from kndb_cli.output.ingest_summary import summary
from kndb_cli.output.progress import reporting
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest

LOCALISATION = (
    "effect",
    "method",
    "n_facts",
    "n_cases",
    "n_neurons",
    "related_relative",
    "unrelated_relative",
    "wrong_sign",
    "specificity",
)
FACTCHECK = ("method", "n_facts", "n_claims", "f1", "auroc", "accuracy")
RATES = ("n_facts", "n_searched", "carriers", "n_tried", "rate", "control_rate", "ratio")
"""The columns printed of the widest tables; the files have all."""


class Study:
    """A model's database, and the tables made from it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.model = ModelChoice(options.model, device="cpu")
        self.place = {"database": options.out, "model": self.model}
        self.folder: Path = options.out.with_suffix("")
        make_folder(self.folder)

    def stored(self) -> StoredRequest:
        """The request for tables of stored rows."""
        return StoredRequest(self.options.out, self.model.label)

    def ingest(self) -> None:
        """Find the neurons of known facts."""
        names = ("dataset", "langs", "relations", "limit", "templates", "seed", "known", "preset")
        chosen = {name: getattr(self.options, name) for name in names}
        with reporting(self.model.label, "prompts", quiet=False) as report:
            found = ingest(IngestRequest(**self.place, **chosen), report)
        print(summary(found))

    def localisation(self) -> Iterator[Table]:
        """Suppress and enhance the neurons that each method picks."""
        request = localisation.LocalisationRequest(
            **self.place, **self.drawn("localisation"), unrelated=self.options.unrelated
        )
        yield overall(self.made("localisation", request, localisation.evaluate), LOCALISATION)

    def faithfulness(self) -> Iterator[Table]:
        """Compare every method's scores with the effect of each single neuron."""
        request = faithfulness.FaithfulnessRequest(
            **self.place, **self.drawn("faithfulness"), neurons=self.options.neurons
        )
        yield self.made("faithfulness", request, faithfulness.evaluate)

    def degenerate(self) -> Iterator[Table]:
        """Search for degenerate pairs; most time goes to facts with many neurons."""
        request = SearchRequest(**self.place, top=self.options.top, seed=self.options.seed)
        with reporting("degenerate", "facts", quiet=False) as report:
            find_degenerate(request, report)
        rates, sizes, _ = degenerate.evaluate(self.stored())
        yield overall(rates, RATES)
        yield sizes

    def overlap(self) -> Iterator[Table]:
        """Compare languages."""
        yield from crosslingual.evaluate(self.stored())[:3]

    def edits(self) -> Iterator[Table]:
        """Edit facts; those in the ledger are kept."""
        _, run = model_and_run(EditRequest(**self.place))
        sample = draw_sample(NeuronRequest(**self.place, facts=self.options.edits), run.run_id)
        jobs = list(edits(sample, self.options.modes, self.options.unrelated, self.options.seed))
        with reporting("edits", "edits", quiet=False) as report:
            edit(EditRequest(**self.place), jobs, len(jobs), report)
        yield from crosslingual.evaluate(self.stored())[-2:]

    def factcheck(self) -> Iterator[Table]:
        """Calibrate the fact check, and test it on held-out facts."""
        split = parse_split(self.options.split)
        request = CalibrationRequest(**self.place, split=split, seed=self.options.seed)

        def evaluate(request: CalibrationRequest, report: Any) -> Table:
            calibrate(request, report)
            own = factcheck.EvaluationRequest(**self.place)
            return as_table(factcheck.evaluate(own, report), {})

        yield overall(self.made("factcheck", request, evaluate), FACTCHECK)

    def drawn(self, name: str) -> dict[str, Any]:
        """What both evaluations of methods have in common."""
        facts = getattr(self.options, name)
        return {"facts": facts, "seed": self.options.seed, "methods": self.options.methods}

    def made(self, name: str, request: Any, evaluate: Callable[[Any, Any], Table]) -> Table:
        """The table that was made from the same request before, or a new one."""
        key = repr(request)
        table = read_table(self.folder, name, key)
        if table is None:
            with reporting(name, "done", quiet=False) as report:
                table = evaluate(request, report)
            write_table(self.folder, table, key)
        return table


def edits(sample: Sample, modes: Sequence[Mode], unrelated: int, seed: int) -> Iterator[Job]:
    """Edits of each fact in the first of its languages; updates give another object's label."""
    firsts = {fact.fact_id: fact for fact in reversed(sample.facts)}
    for fact in firsts.values():
        lang = fact.relation_lang.lang
        target = another_answer(fact, sample, seed)
        for mode in modes:
            if mode not in REWRITING:
                settings = EditSettings(mode, target_lang=lang, unrelated=unrelated, seed=seed)
                yield Job(fact.prompts[0].fact_key, settings)
            elif target is not None:
                settings = EditSettings(
                    mode, target=target, target_lang=lang, unrelated=unrelated, seed=seed
                )
                yield Job(fact.prompts[0].fact_key, settings)


def another_answer(fact: AskedFact, sample: Sample, seed: int) -> str | None:
    """The label of another object of the fact's relation, in the fact's language."""
    own = fact.prompts[0]
    labels = {
        prompt.answer
        for prompt in sample.pool[own.lang]
        if prompt.relation_id == own.relation_id and prompt.object_id != own.object_id
    }
    return random.Random(f"{seed} {own.fact_key}").choice(sorted(labels)) if labels else None


def markdown(table: Table) -> str:
    """A table in Markdown: title, figures with their intervals, notes.

    >>> print(markdown(Table("t", "Title", ("lang", "n"), [("en", 3)], notes=["A note."])))
    **Title**
    <BLANKLINE>
    | lang | n |
    |---|---:|
    | en | 3 |
    <BLANKLINE>
    A note.
    """
    found = readable(table)
    rule = "".join("---:|" if numeric else "---|" for numeric in found.numeric)
    rows = [_row(found.heads), f"|{rule}", *map(_row, found.rows)]
    return "\n".join([f"**{table.title}**", "", *rows, "", *table.notes])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


METHODS = ("amig", "amig-code", "ig-zero", "most-active", "random")
"""Not amig-paper, which takes the longest."""

STEPS: tuple[str, ...] = (
    "degenerate",
    "overlap",
    "localisation",
    "faithfulness",
    "factcheck",
    "edits",
)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="DIR")
    parser.add_argument("--data", dest="dataset", metavar="MPARAREL", required=True)
    parser.add_argument("--out", type=Path, required=True, help="the database to make")
    parser.add_argument("--steps", type=_names, default=STEPS)
    parser.add_argument("--langs", type=_names, default=("en",))
    parser.add_argument("--relations", type=_names, default=("P30", "P36", "P103", "P1412"))
    parser.add_argument("--limit", type=int, default=400, help="facts to ask")
    parser.add_argument("--templates", type=int, default=4)
    parser.add_argument("--known", type=int, default=1, help="rank that counts as known")
    parser.add_argument("--preset", default="amig")
    parser.add_argument("--methods", type=_names, default=METHODS)
    parser.add_argument("--top", type=int, default=20, help="neurons searched for pairs")
    parser.add_argument("--localisation", type=int, default=40, help="facts")
    parser.add_argument("--faithfulness", type=int, default=20, help="facts, one prompt each")
    parser.add_argument("--neurons", type=int, default=2000, help="tried for faithfulness")
    parser.add_argument("--edits", type=int, default=20, help="facts")
    parser.add_argument("--modes", type=_names, default=("suppress", "update", "fit"))
    parser.add_argument("--unrelated", type=int, default=10, help="facts asked with each fact")
    parser.add_argument("--split", default="40/30/30", help="of the facts of the fact check")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    study = Study(options)
    study.ingest()
    for step in options.steps:
        try:
            for table in getattr(study, step)():
                print(f"\n{markdown(table)}", flush=True)
        except KndbError as error:
            print(f"\n{step}: {error}", flush=True)


if __name__ == "__main__":
    main()
