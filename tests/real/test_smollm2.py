"""kndb on a pretrained model, SmolLM2-135M, from its GGUF file; run by ``make test-real``.

The probabilities were read off Transformers' own forward pass, with no code of kndb; the scores are
compared with the slow implementation of ``tests/attribution/naive.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kndb
from attribution.naive import Naive
from kndb.errors import KndbError
from kndb.models import LanguageModel, ModelChoice
from kndb.models.asking import Asker
from kndb.models.choice import loaded_once
from kndb_cli.demo.real import smollm2
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore")]

FRANCE = ("The capital of France is [MASK].", "Paris")


@pytest.fixture(scope="module")
def choice() -> Iterator[ModelChoice]:
    try:
        file = smollm2()
    except KndbError as error:
        pytest.skip(str(error))
    with loaded_once():
        yield ModelChoice(str(file), device="cpu")


@pytest.fixture(scope="module")
def model(choice: ModelChoice) -> LanguageModel[Any]:
    return choice.load()


@pytest.mark.parametrize(
    ("text", "answer", "p"),
    [
        (*FRANCE, 0.77),
        ("The capital of Japan is [MASK].", "Tokyo", 0.70),
        ("The official language of Spain is [MASK].", "Spanish", 0.31),
    ],
)
def test_it_knows_what_it_is_known_to_know(
    model: LanguageModel[Any], text: str, answer: str, p: float
) -> None:
    (found,) = Asker(model).ask([(text, answer)])
    assert not isinstance(found, str)
    assert found.p == pytest.approx(p, abs=0.01)
    assert found.rank == 1


def test_the_scores_are_those_of_full_sequences(model: LanguageModel[Any]) -> None:
    """In the layer of the top neuron, against 16 Gauss-Legendre nodes on every word's path."""
    (found,) = kndb.attribute(model, [FRANCE])
    assert max(found.completeness, found.score_error) <= 0.01
    layer = int(np.unravel_index(found.scores.argmax(), found.scores.shape)[0])
    (target,) = model.targets(*FRANCE)
    naive = Naive(model.hf, model.down, before=True)
    alphas, weights = np.polynomial.legendre.leggauss(16)
    at = torch.tensor((alphas + 1) / 2, dtype=torch.float32)[:, None]
    shares = torch.tensor(weights / 2, dtype=torch.float32)
    end = naive.read(target.tokens, layer, target.position)
    exact = torch.zeros_like(end)
    for word in target.words:
        start = naive.masked(target, word, layer)
        exact += (shares @ naive.gradients(target, layer, torch.lerp(start, end, at))) * (
            end - start
        )
    wrong = np.abs(found.scores[layer] - exact.numpy()).max() / found.scores.max()
    assert wrong <= 0.01


def test_suppressing_its_neurons_costs_the_answer(model: LanguageModel[Any]) -> None:
    (found,) = kndb.attribute(model, [FRANCE])
    asker = Asker(model)
    (before,) = asker.ask([FRANCE])
    with kndb.suppress(model, [kndb.Neuron(*neuron[:2]) for neuron in found.top(12)]):
        (after,) = asker.ask([FRANCE])
    (again,) = asker.ask([FRANCE])
    assert not isinstance(before, str)
    assert not isinstance(after, str)
    assert after.p < 0.5 * before.p
    assert again == before


def test_what_it_knows_is_ingested(choice: ModelChoice, tmp_path: Path) -> None:
    facts = tmp_path / "facts.csv"
    facts.write_text(
        "relation,subject_id,object_id,lang,template,subject,answer\n"
        "P36,Q142,Q90,en,The capital of [X] is [Y].,France,Paris\n"
        "P36,Q142,Q64,en,The capital of [X] is [Y].,France,Berlin\n",
        encoding="utf-8",
    )
    done = ingest(IngestRequest(tmp_path / "k.duckdb", choice, str(facts), known=1))
    assert (done.prompts["en"][0], sum(done.unknown.values())) == (1, 1)
    assert done.adapter == "causal"
    with kndb.open(tmp_path / "k.duckdb") as db:
        (best, *_) = db.query(fact="P36:Q142", top=1).to_dicts()
        assert best["score"] > 0.1
