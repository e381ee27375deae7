"""The engine is exact on the demo models too, whose probabilities are far from linear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from attribution.naive import Naive
from kndb.attribution import PRESETS, Settings, attribute
from kndb.models import LanguageModel, load_model
from kndb.models.places import embedded_model
from kndb_ingest.demo import Family

PROMPTS = [("The capital of France is [MASK].", "Paris"), ("法国的首都是[MASK]。", "巴黎")]
FAMILIES: tuple[Family, ...] = ("masked", "causal")


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> LanguageModel[Any]:
    return load_model(embedded_model(request.param), device="cpu")


def test_amig_code_and_ig_zero_equal_naive(model: LanguageModel[Any]) -> None:
    post = Naive(model.hf, model.down, before=True)
    code = post
    if model.info.family == "causal_lm":
        blocks = model.hf.transformer.h
        code = Naive(model.hf, [block.mlp.c_fc for block in blocks], before=False)
    for settings, naive in (("amig-code", code.amig_code), ("ig-zero", post.ig_zero)):
        for found in attribute(model, PROMPTS, settings):
            targets = model.targets(*PROMPTS[found.index])
            expected = torch.stack([naive(target) for target in targets]).mean(0)
            error = (torch.from_numpy(found.scores) - expected).norm() / expected.norm()
            assert error < 1e-5


def test_completeness_and_the_integral(model: LanguageModel[Any]) -> None:
    exact = {f.index: f for f in attribute(model, PROMPTS, Settings(nodes=31, tolerance=None))}
    left = Settings(quadrature="left", nodes=20, tolerance=None)
    riemann = {f.index: f for f in attribute(model, PROMPTS, left)}
    for found in attribute(model, PROMPTS, PRESETS["amig"]):
        assert found.completeness <= 0.01
        scores = exact[found.index].scores
        error, crude = (
            np.linalg.norm(other - scores) / np.linalg.norm(scores)
            for other in (found.scores, riemann[found.index].scores)
        )
        assert error < 0.01
        assert error < crude


@pytest.mark.parametrize(
    "prompt",
    [
        ("基里巴斯的国家语言是[MASK]。", "英语"),
        ("Валюта [MASK] — денежная единица страны Финляндия.", "евро"),
    ],
    ids=["scores-become-smaller", "one-neuron-is-off"],
)
def test_refining_goes_on_where_it_was_once_given_up(prompt: tuple[str, str]) -> None:
    model = load_model(embedded_model("masked"), device="cpu")
    (found,) = attribute(model, [prompt])
    (exact,) = attribute(model, [prompt], Settings(nodes=31, tolerance=None))
    assert found.score_error <= 0.01
    assert np.abs(found.scores - exact.scores).max() <= 0.01 * exact.scores.max()


def test_it_recalls_these_facts(model: LanguageModel[Any]) -> None:
    for found in attribute(model, PROMPTS):
        assert found.rank == 1
        assert found.predicted == PROMPTS[found.index][1]
