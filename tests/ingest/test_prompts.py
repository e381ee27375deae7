import pytest

from kndb.facts import Fact, Prompt
from kndb_ingest.prompts import prompt_problem

FACT = Fact("P36", "Q142", "Q90")


@pytest.mark.parametrize(
    ("template", "subject", "answer", "problem"),
    [
        ("The capital of [X] is [Y].", "France", "Paris", None),
        ("The capital of [X] is", "France", "Paris", "no [Y] placeholder"),
        ("", "France", "Paris", "no [Y] placeholder"),
        ("The capital of [X] is [Y].", "France", "", "answer missing"),
        ("The capital of [X] is [Y].", "France", " ", "answer missing"),
        (
            "The capital of [X] is [Y], yes, [Y].",
            "France",
            "Paris",
            "more than one [Y] placeholder",
        ),
        ("[MASK] of [X] is [Y].", "France", "Paris", "more than one [Y] placeholder"),
        ("The capital is [Y].", "France", "Paris", "no [X] placeholder"),
        ("The capital of [X] is [Y].", "", "Paris", "subject missing"),
        ("The capital of France is [Y].", "France", "Paris", None),
        ("The capital of France is [Y].", "", "Paris", None),
    ],
)
def test_says_what_no_model_can_use(template, subject, answer, problem):
    assert prompt_problem(Prompt(FACT, "en", template, subject, answer)) == problem
