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


NEAREST = "no template matched; the nearest is 'The capital of [X] is [Y].'"


@pytest.mark.parametrize(
    "text",
    [
        "Conakry is Guinea's capital",
        "Guinea's capital is Conakry.",
        "guinea’s capital is called conakry",
        "Conakry is the capital of Guinea",
        "The capital of Guinea is called Conakry",
    ],
)
def test_other_words_for_a_template(index: Index, text: str) -> None:
    claim = index.match(text)
    assert isinstance(claim, Claim)
    assert (claim.fact_key, claim.answer) == ("P36:Q1006", "Conakry")
    assert "Guinea" in claim.prompts[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Guinea's capital is not Conakry", "it is a denial"),
        ("The capital of Guinea is not Conakry", "it is a denial"),
        ("Conakry not is the capital of Guinea", "it is a denial"),
        ("巴黎不是法国的首都", "it is a denial"),
        ("法国的首都不是巴黎", "no template matched"),
        ("Conakry isn't the capital of Guinea", "no template matched"),
        ("Guinea is the capital of Conakry", "its subject is not in the index"),
        ("Guinea is Conakry's capital", "its subject is not in the index"),
        ("Guinea's capital is called Lyon", "several answers can be read"),
        ("Guinea's capital is near Conakry", "the answer is more than a name"),
        ("Guinea's largest city is Conakry", "no template matched"),
        ("Guinea's former capital is Conakry", "no template matched"),
        ("Guinea's capital was Conakry", "no template matched"),
        ("Guinea's capital is called euro", "several answers can be read"),
        ("Is Conakry Guinea's capital?", "it is a question; a claim is a statement"),
        ("Conakry is the capital of Guinea?", "it is a question"),
        ("几内亚的首都是哪里？", "it is a question"),
        ("Guinea's currency is the euro", "its subject is not in the index"),
        ("France's currency is Paris", "its answer is not in the index"),
    ],
)
def test_other_words_are_not_stretched(index: Index, text: str, reason: str) -> None:
    found = index.match(text)
    assert isinstance(found, Unclear)
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nothing is claimed"),
        ("Lyon is a city.", "no template matched"),
        ("The capital of Atlantis is Paris.", "its subject is not in the index"),
        ("The capital of the France is Paris.", "its subject is not in the index"),
        ("The capital of Cote d'Ivoire is Paris.", "its subject is not in the index"),
        ("The capital of 法国 is Paris.", NEAREST),
        ("The capital of Frаnce is Paris.", "its subject is not in the index"),  # Cyrillic а
        ("The capital of <b>France</b> is Paris.", "its subject is not in the index"),
        ("<p>The capital of France is Paris.</p>", NEAREST),
        ("The capital of France is <b>Paris</b>.", "the answer holds markup"),
        ("The capital of France is [MASK].", "the answer holds markup"),
        ("The capital of France is **Paris**.", "the answer holds markup"),
        ("The capital of France is Pa\u200bris.", "the answer holds markup"),
        ("The capital of France is 巴黎.", NEAREST),
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
    assert "has this answer in en, zh; --lang en asks" in unknown.reason
    (elsewhere,) = index.about("P36:Q142", "Lyon", "de")
    assert isinstance(elsewhere, Unclear)
    assert elsewhere.reason == "the fact is not in de, but in en, zh"
    (only,) = index.about("P38:Q142", "franc")  # in one language, which is taken
    assert isinstance(only, Claim)
    assert (only.lang, only.answer) == ("en", "franc")
    (asked,) = index.about("P36:Q142", "Lyon", "en")
    assert isinstance(asked, Claim)
    with pytest.raises(NotFound) as error:
        index.about("P36:Q1", "Paris")
    assert "P36:Q142" in error.value.nearest
