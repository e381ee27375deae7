"""Which neurons an edit changes, and which other facts measure it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kndb.edit.plan import EditSettings, plan_edit
from kndb.edit.selection import SPECIFIC_SHARE, Selection, parse_selection
from kndb.errors import UsageError
from kndb.facts import Fact, Prompt, Relation
from kndb.neurons import Neuron
from kndb.store.database import connect
from kndb.store.edit_source import EditSource
from kndb.store.ids import dataset_id, prompt_id
from kndb.store.writer import Writer
from planted_store import plant
from small_store import Dataset, Model, attributions, predictions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sequential", Selection("sequential")),
        ("specific", Selection("specific", SPECIFIC_SHARE)),
        ("specific:0", Selection("specific", 0.0)),
        ("layer:0", Selection("layer", 0)),
        ("all-layers:20", Selection("all-layers", 20)),
        ("3:5, 2:117", Selection("named", named=(Neuron(2, 117), Neuron(3, 5)))),
    ],
)
def test_choices_are_read(text: str, expected: Selection) -> None:
    assert parse_selection(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "many", "layer", "layer:-1", "all-layers:0", "specific:1", "specific:x", "specific:nan"],
)
def test_what_is_no_choice_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_selection(text)


def test_shared_neurons_are_those_of_many_facts_of_other_relations(tmp_path: Path) -> None:
    neuron, common, home = (0, 1), (0, 2), (0, 3)
    planted = {
        "P36:Q1": {"en": [neuron, common, home]},
        "P36:Q2": {"en": [home]},  # of its own relation: does not count
        "P38:Q1": {"en": [common], "zh": [common]},  # two languages, one fact
        "P38:Q2": {"en": [common]},
        "P38:Q3": {"en": [neuron, (2, 9)]},
        "P38:Q4": {"zh": [(2, 9)]},
    }
    run = plant(tmp_path / "k.duckdb", planted)
    with connect(tmp_path / "k.duckdb") as connection:
        source = EditSource(connection, run)
        fact = source.fact("P36:Q1")
        assert source.shared(fact, 0.0) == {Neuron(0, 1), Neuron(0, 2), Neuron(2, 9)}
        assert source.shared(fact, 0.25) == {Neuron(0, 2), Neuron(2, 9)}
        assert source.shared(fact, 0.5) == frozenset()
        assert len(source.layer(2)) == 100
        with pytest.raises(UsageError, match="no layer 3; it has 3"):
            source.layer(3)


FACTS = {
    "P36:Q1": "Paris",
    "P36:Q2": "Rome",
    "P36:Q3": "Paris",
    "P36:Q4": "Lyon",
    "P17:Q5": "Rome",
    "P17:Q6": "Oslo",
    "P17:Q7": "Lyon",
}


@pytest.fixture
def source(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Capitals, and cities of another relation some of which are capitals too."""
    facts = {key: Fact(key[:3], key[4:], answer) for key, answer in FACTS.items()}
    prompts = [Prompt(facts[key], "en", "[X] [Y]", key, answer) for key, answer in FACTS.items()]
    relations = [Relation("P36", "capital"), Relation("P17", "place")]
    writer = Writer(tmp_path / "k.duckdb")
    model = Model(n_layers=1, n_neurons=4)
    run = writer.begin(
        model, Dataset(), relations, list(facts.values()), prompts, "amig", {"seed": 0}
    )
    ids = [prompt_id(dataset_id(Dataset.sha256), prompt) for prompt in prompts]
    writer.append(run.run_id, predictions(ids), attributions([(i, 0, 0, 1.0) for i in ids]))
    writer.finish(run.run_id, 0.2, 0.5)
    with connect(tmp_path / "k.duckdb") as connection:
        yield EditSource(connection, run.run_id)


def test_other_facts_have_other_objects_and_are_near_or_far(source: EditSource) -> None:
    fact = source.fact("P36:Q1")

    def others(**options: bool) -> set[str]:
        found = source.others(fact, ["Lyon"], 10, 0, **options)  # type: ignore[arg-type]
        return {prompt.fact_key for prompt in found}

    # Neither the same object (Q3) nor the new one (Q4, Q7).
    assert others(same_relation=True) == {"P36:Q2"}
    assert others(same_relation=False) == {"P17:Q5", "P17:Q6"}
    # Rome is a capital too; Oslo is not one here.
    settings = EditSettings("erase", "0:1", unrelated=10)
    kinds = {probe.fact_key: probe.kind for probe in plan_edit(source, fact, settings).probes}
    assert kinds == {
        "P36:Q1": "own",
        "P36:Q2": "same-relation",
        "P36:Q4": "same-relation",
        "P17:Q5": "same-type",
        "P17:Q7": "same-type",
        "P17:Q6": "unrelated",
    }


def test_what_a_fit_keeps_is_not_measured(source: EditSource) -> None:
    fact = source.fact("P36:Q1")
    settings = EditSettings("fit", "0:1", "Oslo", "en", unrelated=2)
    plan = plan_edit(source, fact, settings)
    measured = {probe.text for probe in plan.probes}
    assert {probe.kind for probe in plan.probes} > {"own", "same-relation"}
    assert plan.kept
    assert not measured & {text for text, _ in plan.kept}
    assert plan_edit(source, fact, EditSettings("erase", "0:1")).kept == ()


def test_other_facts_can_be_left_out(source: EditSource) -> None:
    fact = source.fact("P36:Q1")
    every = source.others(fact, [], 10, 0, same_relation=False)
    first, *rest = every
    left = source.others(fact, [], 10, 0, same_relation=False, exclude=[first.fact_id])
    assert left == rest
    assert len(source.others(fact, [], 1, 0, same_relation=False)) == 1
