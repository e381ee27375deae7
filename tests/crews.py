"""What tests of several workers share: work that cuts into many parts, and waiting for workers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kndb.crew.scheduling import Crew
from kndb.degenerate.criterion import Criterion
from kndb.evaluation import faithfulness, localisation
from kndb.evaluation.faithfulness import FaithfulnessRequest
from kndb.evaluation.localisation import LocalisationRequest
from kndb.evaluation.sample import NeuronRequest
from kndb.evaluation.table import Table
from same_rows import close

TABLES = ("prediction", "attribution", "knowledge_neuron", "prompt", "fact", "run")
SEARCH_TABLES = ("degenerate_fact", "degenerate_set", "degenerate_member", "degenerate_subset")
FIXED = "ig-zero"
"""No path is refined, so that rounding in batches of another size decides nothing."""

LOOSE = Criterion(t_low=0.3, t_high=0.3)
"""Thresholds loose enough for models with random weights to have degenerate sets."""

PROMPTS = 96


def write_facts(path: Path) -> None:
    """A prompt for each of ``PROMPTS`` facts, all of one relation, language and length."""
    places = ["France", "Japan", "Spain", "Germany"]
    rows = [
        {
            **{"relation": "P36", "subject_id": f"Q{n}", "object_id": "Q90", "lang": "en"},
            **{"template": "The capital of [X] is [Y] .", "answer": "Paris"},
            "subject": " ".join(places[n // 4**digit % 4] for digit in range(4)),
        }
        for n in range(PROMPTS)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


EVALUATIONS: dict[str, tuple[Callable[..., Table], Callable[..., NeuronRequest]]] = {
    "faithfulness": (
        faithfulness.evaluate,
        partial(FaithfulnessRequest, facts=40, methods=["ig-zero", "random"]),
    ),
    "localisation": (
        localisation.evaluate,
        partial(LocalisationRequest, facts=32, methods=["ig-zero", "random"]),
    ),
}
"""An evaluation, and a request for it that takes a database, a model, and where that runs."""


def assert_same_table(found: Table, expected: Table) -> None:
    """Two evaluations made the same table: figures to 1e-6, all else exactly."""
    assert close(found.rows, expected.rows, 1e-6)
    assert (found.columns, found.notes) == (expected.columns, expected.notes)
    assert found.settings == expected.settings


def wait_for_both(crew: Crew) -> None:
    """Both workers have work from the start, so that neither is killed in vain."""
    while len(crew._has) < 2:
        crew._next()


def when_some_are_done(act: Callable[[], object]) -> Callable[[int, int], None]:
    """A report of progress that acts once, when the first prompts are done and others are not."""
    acted = False

    def report(done: int, total: int) -> None:
        nonlocal acted
        if not acted and 0 < done < total:
            acted = True
            act()

    return report
