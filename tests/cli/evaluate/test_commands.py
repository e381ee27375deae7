"""``kndb evaluate crosslingual``, ``degenerate`` and ``all``: where output goes, and its format."""

import csv
import io
import json

import pytest

from kndb_cli.main import main

HEAVY = ("torch", "transformers", "sqlalchemy", "alembic", "matplotlib")


def test_the_first_table_goes_into_a_pipe_and_the_others_are_named(kndb):
    code, out, err = kndb("evaluate", "crosslingual")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["langs"] for row in rows] == ["en,zh", "all"]
    # France has 2:117, 1:33 and 1:34 in English and shares the first with Chinese; China the two.
    assert (rows[0]["n_facts"], float(rows[0]["shared"])) == ("2", 0.5)
    assert "Other tables: --table relations, languages, layers, edits, edit-languages." in err
    assert "Sizes, shared and expected are means" in err


def test_a_table_can_be_chosen(kndb, tmp_path):
    code, out, _ = kndb("evaluate", "crosslingual", "--table", "languages", "--json")
    assert code == 0
    assert [row["lang"] for row in json.loads(out)] == ["en", "zh"]
    file = tmp_path / "layers.csv"
    code, out, err = kndb("evaluate", "crosslingual", "--table", "layers", "-o", str(file))
    assert (code, out) == (0, "")
    assert file.read_text().startswith("layer,n_independent,")
    assert "Wrote 3 rows" in err
    assert kndb("evaluate", "crosslingual", "--table", "magic")[0] == 2


def test_people_see_all_tables_with_intervals_behind_values(kndb):
    code, out, err = kndb("evaluate", "crosslingual", "--format", "table", "--replicates", "100")
    assert code == 0
    for title in ("Knowledge neurons that two languages", "Layers of language-independent"):
        assert title in out
    assert "shared_low" not in out
    assert "[0.00, " in out or "[0.000, " in out
    assert "`kndb edit" in err
    assert kndb("evaluate", "crosslingual", "--format", "table", "-q")[2] == ""


def test_a_run_that_was_not_searched(kndb):
    code, out, err = kndb("evaluate", "degenerate")
    assert code == 0
    (head,) = out.splitlines()
    assert head.startswith("relation_id,relation,lang,n_facts,n_searched,")
    assert "`kndb graph degenerate` makes one" in err


def test_a_model_that_is_not_there(kndb):
    code, _, err = kndb("evaluate", "crosslingual", "--model", "absent")
    assert code == 4
    assert "tiny-masked" in err


@pytest.mark.parametrize("command", ["crosslingual", "degenerate"])
def test_stored_tables_load_no_model_library(process, command):
    code = (
        "import sys; from kndb_cli.main import main; main(sys.argv[1:]); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = process.python(code, "evaluate", command, "-q")
    assert done.stderr.decode().splitlines() == ["[]"]


def test_a_report(kndb, database, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    code, out, err = kndb("evaluate", "all", "--model", "tiny-masked", "--report", str(tmp_path))
    assert (code, out) == (0, "")
    assert f"Wrote {tmp_path / 'index.html'}." in err
    assert "Nothing for localisation: " in err
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "tiny-masked" in page
    assert (tmp_path / "tables" / "crosslingual-pairs.csv").exists()


def test_a_report_needs_a_folder(kndb, tmp_path):
    assert kndb("evaluate", "all", "--model", "tiny-masked")[0] == 2
    file = tmp_path / "file"
    file.touch()
    code, _, err = kndb("evaluate", "all", "--model", "tiny-masked", "--report", str(file), "-q")
    assert code == 2
    assert err == f"Error: The folder {file} is a file; give another one for the report.\n"


def test_every_evaluation_is_listed(capsys):
    assert main(["evaluate", "--help"]) == 0
    listed = capsys.readouterr().out
    for command in ("factcheck", "localisation", "faithfulness", "crosslingual", "degenerate"):
        assert command in listed
