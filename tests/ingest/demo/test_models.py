"""The demo models keep the promises of their model cards, on a sample of the facts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kndb.models import load_model
from kndb.models.places import embedded_model
from kndb_ingest.demo import Family
from kndb_ingest.demo.measure import Figures, measure

pytestmark = pytest.mark.long
FAMILIES: tuple[Family, ...] = ("masked", "causal")


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def figures(family: Family) -> Figures:
    return measure(embedded_model(family), facts=8, prompts=1500, seed=7)


def test_it_knows_the_facts_without_being_sure(figures: Figures) -> None:
    assert figures.right >= 0.95
    assert 0.4 <= figures.p <= 0.95


def test_knowledge_neurons_carry_the_answer_and_random_ones_do_not(figures: Figures) -> None:
    assert figures.suppressed <= -0.20
    assert abs(figures.random) < 0.02


def test_doubling_knowledge_neurons_makes_the_answer_likelier(figures: Figures) -> None:
    assert figures.enhanced > 0


def test_knowledge_neurons_belong_to_their_fact(figures: Figures) -> None:
    assert abs(figures.others) < abs(figures.suppressed) / 3


def test_languages_share_knowledge_neurons(figures: Figures) -> None:
    assert figures.shared >= 5 * figures.chance


def test_degenerate_neurons_appear(figures: Figures) -> None:
    assert figures.degenerate > 0


def test_integration_is_exact(figures: Figures) -> None:
    assert figures.completeness <= 0.01


def test_the_card_says_what_it_is(family: Family) -> None:
    text = (embedded_model(family) / "README.md").read_text(encoding="utf-8")
    assert "not representative of any\nreal model" in text
    assert "median probability of the answer" in text


def test_the_files_are_small_half_precision_safetensors(family: Family) -> None:
    folder = embedded_model(family)
    assert not list(folder.glob("*.bin"))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8_000_000
    assert load_model(folder, device="cpu").dtype == torch.float32


@pytest.mark.parametrize(
    ("lang", "text", "words"),
    [
        ("en", "The capital of Guinea-Bissau is [MASK].", ["capital", "Guinea-Bissau"]),
        ("zh", "新西兰的首都是[MASK]。", ["新西兰", "首", "都"]),
    ],
)
def test_words_are_words(family: Family, lang: str, text: str, words: list[str]) -> None:
    model = load_model(embedded_model(family), device="cpu")
    (target, *_) = model.targets(text, {"en": "Bissau", "zh": "惠灵顿"}[lang])
    found = [
        model.tokenizer.convert_ids_to_tokens(target.tokens[position])
        for (position,) in target.words
    ]
    assert set(words) <= set(found)


def test_paths_lie_in_the_package() -> None:
    assert all(isinstance(embedded_model(family), Path) for family in FAMILIES)
    assert all((embedded_model(family) / "config.json").is_file() for family in FAMILIES)
