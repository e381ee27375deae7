"""Claims in any form find their fact, and never another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from kndb.errors import NotFound
from kndb.factcheck.claims import Claim, Index, Unclear
from small_store import finished_run


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    path: Path = tmp_path_factory.mktemp("claims") / "k.duckdb"
    finished_run(path)
    return Index.read(path)


@pytest.mark.parametrize(
    "text",
    [
        "The capital of France is Paris.",
        "the capital of FRANCE is paris",
        "  The  capital of France\tis Paris !",
        "Ｔｈｅ ｃａｐｉｔａｌ ｏｆ Ｆｒａｎｃｅ ｉｓ Ｐａｒｉｓ．",
        "France's capital is Paris.",
        "France’s capital is Paris。",
        "Paris is the capital of France.",
    ],
)
def test_the_form_does_not_matter(index: Index, text: str) -> None:
    claim = index.match(text)
    assert isinstance(claim, Claim)
    assert (claim.fact_key, claim.lang, claim.answer) == ("P36:Q142", "en", "Paris")
    assert len(claim.prompts) == 1
    assert "France" in claim.prompts[0]
    assert "[MASK]" in claim.prompts[0]


@pytest.mark.parametrize(
    "text", ["法国的首都是巴黎。", " 法国 的首都 是 巴黎", "法国的首都是巴黎．"]
)
def test_scripts_without_spaces(index: Index, text: str) -> None:
    claim = index.match(text)
    assert isinstance(claim, Claim)
    assert (claim.fact_key, claim.lang, claim.answer) == ("P36:Q142", "zh", "巴黎")


def test_an_answer_that_the_index_does_not_know_keeps_its_case(index: Index) -> None:
    claim = index.match("the capital of côte d'ivoire is Bouaké-Ville.")
    assert isinstance(claim, Claim)
    assert (claim.fact_key, claim.answer) == ("P36:Q1008", "Bouaké-Ville")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nothing is claimed"),
        ("Lyon is a city.", "no template matched"),
        ("The capital of Atlantis is Paris.", "its subject is not in the index"),
        ("The capital of the France is Paris.", "its subject is not in the index"),
        ("The capital of Cote d'Ivoire is Paris.", "its subject is not in the index"),
        ("The capital of 法国 is Paris.", "no template matched"),
        ("The capital of Frаnce is Paris.", "its subject is not in the index"),  # Cyrillic а
        ("The capital of <b>France</b> is Paris.", "its subject is not in the index"),
        ("<p>The capital of France is Paris.</p>", "no template matched"),
        ("The capital of France is <b>Paris</b>.", "the answer holds markup"),
        ("The capital of France is [MASK].", "the answer holds markup"),
        ("The capital of France is **Paris**.", "the answer holds markup"),
        ("The capital of France is Pa\u200bris.", "the answer holds markup"),
        ("The capital of France is 巴黎.", "no template matched"),
        ("The capital of France is Париж.", "the answer is not in the script of en"),
        ("The capital of France is Pаris.", "the answer is not in the script of en"),
        ("The capital of France is Paris, on the Seine.", "the answer is more than a name"),
        ("The capital of France is -.", "the answer has no letter"),
    ],
)
def test_what_is_not_clear_is_not_guessed(index: Index, text: str, reason: str) -> None:
    found = index.match(text)
    assert isinstance(found, Unclear)
    assert found.reason == reason


def test_a_language_may_be_asked_for(index: Index) -> None:
    assert isinstance(index.match("法国的首都是巴黎", lang="zh"), Claim)
    found = index.match("法国的首都是巴黎", lang="en")
    assert isinstance(found, Unclear)
    assert found.reason == "no template matched"


def test_a_fact_and_an_answer(index: Index) -> None:
    (claim,) = index.about("p36:q142", "paris")
    assert isinstance(claim, Claim)
    assert (claim.lang, claim.answer, len(claim.prompts)) == ("en", "Paris", 3)
    (unknown,) = index.about("P36:Q142", "Lyon")
    assert isinstance(unknown, Unclear)
    assert "give --lang" in unknown.reason
    (asked,) = index.about("P36:Q142", "Lyon", "en")
    assert isinstance(asked, Claim)
    with pytest.raises(NotFound) as error:
        index.about("P36:Q1", "Paris")
    assert "P36:Q142" in error.value.nearest
