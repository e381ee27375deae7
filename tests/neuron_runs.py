"""Runs of tiny models, one of them with planted knowledge, over facts of three relations."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import torch

from attribution.naive import hooked
from kndb.attribution.suppression import Questions
from kndb.evaluation.sample import AskedFact, NeuronRequest, draw_sample
from kndb.model_runs import model_and_run
from kndb.models import LanguageModel, ModelChoice, Target, load_model
from kndb.neurons import Neuron
from kndb.store.prompts import StoredPrompt
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from planting import plant, quiet_model
from saved_models import save, saved

PLANTED = Neuron(1, 17)
FACTS = [  # relation, subject, object, English template, German one, subject, answer
    ("P36", "Q142", "Q90", "The capital of [X] is [Y] .", "The capital , [X] , is [Y] ."),
    ("P36", "Q17", "Q1490", "The capital of [X] is [Y] .", "The capital , [X] , is [Y] ."),
    ("P37", "Q183", "Q188", "People in [X] speak [Y] .", "People of [X] speak [Y] ."),
    ("P38", "Q29", "Q4916", "The currency of [X] is the [Y] .", "[X] is of the currency [Y] ."),
]
NAMES = {
    "Q142": ("France", "Paris"),
    "Q17": ("Japan", "New Tokyo"),
    "Q183": ("Germany", "German"),
    "Q29": ("Spain", "euro"),
}


def planted() -> LanguageModel[Any]:
    """A neuron that knows the capital of France, but no languages or currencies."""
    model = quiet_model("bert")
    (own,) = model.targets("The capital of France is [MASK] .", "Paris")
    others = [
        model.targets(text, answer)[0]
        for text, answer in (
            ("People in Germany speak [MASK] .", "German"),
            ("The currency of Spain is the [MASK] .", "euro"),
        )
    ]
    plant(model, PLANTED.layer, PLANTED.index, own, others, strength=10)
    return model


def facts_file(path: Path, langs: Sequence[str] = ("en", "de")) -> Path:
    """The facts, a template in each language."""
    rows = [
        {"relation": relation, "subject_id": subject, "object_id": value, "lang": lang}
        | {"template": template, "subject": NAMES[subject][0], "answer": NAMES[subject][1]}
        for relation, subject, value, *templates in FACTS
        for lang, template in zip(("en", "de"), templates, strict=True)
        if lang in langs
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def make_run(folder: Path, name: str, langs: Sequence[str] = ("en", "de")) -> tuple[Path, Path]:
    """A database with a run of the model in a folder, and the model's own folder."""
    content, model = _run(name, tuple(langs))
    database = folder / f"{name}.duckdb"
    database.write_bytes(content)
    return database, model


@cache
def _run(name: str, langs: Sequence[str]) -> tuple[bytes, Path]:
    """The run is made once for all tests; each gets a copy."""
    model = _planted_folder() if name == "planted" else saved(name)
    with tempfile.TemporaryDirectory() as folder:
        database, data = Path(folder, "k.duckdb"), Path(folder, "facts.jsonl")
        ingest(IngestRequest(database, ModelChoice(str(model)), str(facts_file(data, langs))))
        return database.read_bytes(), model


@cache
def _planted_folder() -> Path:
    return save(planted().hf, saved("tiny-bert").with_name("planted"))


def loaded(request: NeuronRequest) -> tuple[LanguageModel[Any], dict[str, AskedFact]]:
    """The model of a request, and its sample by ``P36:Q142/en``."""
    model, run = model_and_run(request)
    sample = draw_sample(request, run.run_id)
    return model, {f"{f.prompts[0].fact_key}/{f.relation_lang.lang}": f for f in sample.facts}


def questions_of(model: LanguageModel[Any], prompts: Sequence[StoredPrompt]) -> Questions:
    return Questions(model, [model.targets(prompt.text, prompt.answer) for prompt in prompts])


def probability(
    folder: Path, text: str, answer: str, neurons: Sequence[Neuron] = (), factor: float = 0
) -> float:
    """The answer's probability by whole runs of the Transformers model, hooked neuron by neuron."""
    model = _load(folder)
    found = [_one(model, target, neurons, factor) for target in model.targets(text, answer)]
    return sum(found) / len(found)


@cache
def _load(folder: Path) -> LanguageModel[Any]:
    return load_model(str(folder))


def _one(
    model: LanguageModel[Any], target: Target, neurons: Sequence[Neuron], factor: float
) -> float:
    with ExitStack() as stack, torch.no_grad():
        for neuron in neurons:
            hook = _scaling(target.position, neuron.index, factor)
            stack.enter_context(hooked(model.down[neuron.layer], hook, before=True))
        logits = model.hf(input_ids=torch.tensor([target.tokens])).logits
    return float(logits[0, target.position].double().softmax(-1)[target.answer])


def _scaling(position: int, index: int, factor: float) -> Any:
    def hook(module: Any, inputs: Any) -> Any:
        value = inputs[0].clone()
        value[0, position, index] *= factor
        return (value,)

    return hook
