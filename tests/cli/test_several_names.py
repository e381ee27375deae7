"""Options given more than once: names are a union, and no value is lost unseen."""

import pytest


def keys(out):
    return {line.split(",")[0] for line in out.splitlines()[1:]}


def langs(out):
    return {line.split(",")[2] for line in out.splitlines()[1:]}


@pytest.mark.parametrize("option", ["--lang", "--langs"])
@pytest.mark.parametrize("form", ["commas", "repeated"])
def test_languages_in_either_form_are_a_union(kndb, option, form):
    given = [option, "en,zh"] if form == "commas" else [option, "en", option, "zh"]
    code, out, _ = kndb("query", "--fact", "France", *given)
    assert (code, langs(out)) == (0, {"en", "zh"})
    assert langs(kndb("query", "--fact", "France", option, "zh")[1]) == {"zh"}


def test_facts_and_neurons_are_unions(kndb):
    code, out, _ = kndb("query", "--fact", "France", "--fact", "中国")
    assert (code, keys(out)) == (0, {"P36:Q142", "P36:Q148"})
    code, out, _ = kndb("query", "--neuron", "1:34", "--neuron", "2:50")
    assert (code, keys(out), langs(out)) == (0, {"P36:Q148"}, {"en", "zh"})


def test_the_same_options_in_a_graph(kndb):
    lines = [
        ("graph", "overlap", "--lang", "en", "--lang", "zh", "--fact", "France", "--fact", "China"),
        ("graph", "overlap", "--langs", "en,zh", "--relation", "capital", "--relations", "P36"),
    ]
    for line in lines:
        code, out, _ = kndb(*line)
        assert (code, keys(out)) == (0, {"P36:Q142", "P36:Q148"})


@pytest.mark.parametrize(
    "args",
    [
        ("query", "--run", "1", "--run", "2"),
        ("graph", "groups", "--model", "a", "--model", "b"),
        ("edit", "--model", "m", "--fact", "a", "--fact", "b"),
        ("runs", "--db", "a.duckdb", "--db", "b.duckdb"),
    ],
)
def test_a_second_name_is_refused_where_one_is_taken(kndb, args):
    code, out, err = kndb(*args)
    assert (code, out) == (2, "")
    assert "given 2 times, but takes one here" in err


def test_of_other_options_the_last_value_counts(kndb):
    assert len(kndb("query", "--top", "5", "--top", "1")[1].splitlines()) == 5
