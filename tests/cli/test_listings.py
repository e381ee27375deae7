"""The listing commands: rows, limits, Markdown, and what they import."""

import pytest

HEAVY = {
    "torch",
    "transformers",
    "sqlalchemy",
    "pyarrow",
    "networkx",
    "matplotlib",
    "rich",
    "numpy",
}


def test_each_relation_with_its_facts_and_languages(kndb):
    code, out, err = kndb("relations")
    assert (code, err) == (0, "")
    assert out == "relation_id,label,facts,langs\nP36,capital,3,2\n"


def test_languages(kndb):
    assert kndb("languages")[1] == "lang,facts,relations,prompts\nen,3,1,4\nzh,2,1,2\n"


def test_facts_by_words_of_several_arguments(kndb):
    code, out, _ = kndb("facts", "The capital of", "France is", "--lang", "en")
    assert (code, out.splitlines()[1:]) == (0, ["P36:Q142,capital,en,France,Paris,2,capitals"])
    code, out, _ = kndb("facts", "Lisbon")
    assert (code, out.splitlines()[1:]) == (0, ["P36:Q45,capital,en,Portugal,Lisbon,1,capitals"])
    assert kndb("facts", "Atlantis")[0] == 4


def test_neurons_of_a_layer_as_a_table(kndb):
    code, out, _ = kndb("neurons", "--layer", "2", "--format", "table")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[3:]] == [
        ["2", "50", "1"],
        ["2", "117", "1"],
    ]


def test_query_by_answer(kndb):
    assert kndb("query", "--answer", "巴黎")[1] == kndb("query", "--fact", "P36:Q142")[1]
    code, _, err = kndb("query", "--fact", "Lisbon")
    assert code == 4
    assert "'Lisbon' is the answer of P36:Q45 (capital: Portugal); ask by --answer." in err


@pytest.mark.parametrize("command", ["facts", "neurons", "query"])
def test_a_limit_says_what_it_leaves_out(kndb, command):
    _, every, _ = kndb(command)
    code, out, err = kndb(command, "--limit", "2")
    assert (code, out) == (0, "".join(every.splitlines(keepends=True)[:3]))
    assert err == f"The first 2 of {len(every.splitlines()) - 1} rows; --limit sets how many.\n"
    assert kndb(command, "--limit", "2", "-q")[2] == ""
    assert kndb(command, "--limit", "99")[1:] == (every, "")


def test_a_table_in_markdown(kndb):
    code, out, _ = kndb(
        "sql", "SELECT 'a|b' AS \"x|y\", 0.123456::DOUBLE AS p, NULL AS n", "--format", "md"
    )
    assert code == 0
    assert out == "| x\\|y | p | n |\n| --- | ---: | --- |\n| a\\|b | 0.1235 | – |\n"


def test_a_name_that_ends_in_md_is_markdown(kndb, tmp_path):
    assert kndb("relations", "-o", str(tmp_path / "r.md"))[0] == 0
    assert (tmp_path / "r.md").read_text().splitlines()[2] == "| P36 | capital | 3 | 2 |"


@pytest.mark.parametrize("args", [("facts", "France"), ("neurons", "--layer", "2")])
def test_listings_import_nothing_heavy(process, args):
    code = (
        "import sys; from kndb_cli.main import main; main();"
        "print(*{m.partition('.')[0] for m in sys.modules}, file=sys.stderr)"
    )
    done = process.python(code, *args)
    assert done.stdout.count(b"\n") > 1
    assert not {*done.stderr.decode().split()} & HEAVY


def test_a_difference_of_runs_says_whether_they_are_equal(kndb, two_runs):
    code, out, err = kndb("diff", "amig", "ig-zero", "--by", "language")
    assert code == 0
    assert out == (
        "lang,n_one,n_other,n_shared,n_lost,n_gained,jaccard\nen,3,3,3,0,0,1.0\nzh,3,3,3,0,0,1.0\n"
    )
    assert "prompts  the same 5\n" in err
    assert "scores   all 10 equal, to the bit" in err
