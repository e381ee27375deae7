"""``kndb edit`` from the index to an edited model and back, on tiny real models."""

import csv
import io
import json
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from kndb.models import ModelChoice
from kndb.models.loading import weights_hash
from kndb_cli.main import main
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from saved_models import save
from tiny import hf_model

TEMPLATES = {
    "P36": ("The capital of [X] is [Y]", "[X] is the capital [Y]", "capital of [X] is the [Y]"),
    "P37": ("People in [X] speak [Y]", "The currency of [X] is [Y]"),
}
OBJECTS = {"P36": {"Q142": "Paris", "Q17": "Tokyo"}, "P37": {"Q183": "German", "Q29": "euro"}}
SUBJECTS = {"Q142": "France", "Q17": "Japan", "Q183": "Germany", "Q29": "Spain"}
LANGS = ("en", "xx")  # the tokenizers have one language: the second has the same texts


def facts():
    for relation, templates in TEMPLATES.items():
        for subject, answer in OBJECTS[relation].items():
            for template in templates:
                for lang in LANGS:
                    yield {
                        "relation": relation,
                        "subject_id": subject,
                        "object_id": f"of-{answer}",
                        "lang": lang,
                        "template": template,
                        "subject": SUBJECTS[subject],
                        "answer": answer,
                    }


@pytest.fixture(scope="module", params=["bert", pytest.param("gpt2", marks=pytest.mark.long)])
def ingested(request, tmp_path_factory):
    """A folder with a tiny model in bfloat16, and a database of its neurons."""
    folder = tmp_path_factory.mktemp(request.param)
    save(hf_model(request.param).to(torch.bfloat16), folder / "model")
    data = folder / "facts.jsonl"
    data.write_text("\n".join(map(json.dumps, facts())), encoding="utf-8")
    ingest(IngestRequest(folder / "k.duckdb", ModelChoice(str(folder / "model")), str(data)))
    return folder


@pytest.fixture
def folder(ingested, tmp_path):
    shutil.copyfile(ingested / "k.duckdb", tmp_path / "k.duckdb")
    (tmp_path / "model").symlink_to(ingested / "model")
    return tmp_path


@pytest.fixture
def kndb(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KNDB_DB", "k.duckdb")

    def run(*args):
        code = main(["edit", *args])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def ledger(kndb):
    return rows(kndb("list")[1])


UPDATE = ("--model", "model", "--fact", "P36:Q142", "--target", "Tokyo", "--lambda", "2")


def test_an_update_is_measured_told_and_kept(kndb):
    code, out, err = kndb(*UPDATE)
    assert code == 0, err
    found = rows(out)
    parts = {(r["part"], r["lang"]) for r in found}
    assert parts == {
        ("own", "en"),
        ("paraphrase", "en"),
        ("language", "xx"),
        ("unrelated", "en"),
        ("unrelated", "xx"),
    }
    # The other capital is the target, so no fact of the same relation is left to measure.
    assert {r["fact_key"] for r in found if r["part"] == "unrelated"} == {"P37:Q183", "P37:Q29"}
    assert {r["new_answer"] for r in found if r["part"] != "unrelated"} == {"Tokyo"}
    new = [r for r in found if r["p_new_after"]]
    assert all(r["p_new_after"] != r["p_new_before"] for r in new)
    assert "languages" in err
    assert "of 2 facts of other relations with other objects changed" in err
    (edit,) = ledger(kndb)
    assert (edit["fact_key"], edit["mode"], edit["status"]) == ("P36:Q142", "update", "stored")
    shown = rows(kndb("show", edit["edit_id"])[1])
    assert {r["text"]: r["p_new_after"] for r in shown} == {
        r["text"]: r["p_new_after"] for r in found
    }


def test_a_table_shows_what_people_need_and_says_what_it_hides(kndb):
    kndb(*UPDATE)
    (edit,) = ledger(kndb)
    every = rows(kndb("show", edit["edit_id"])[1])
    hidden = [r for r in every if r["part"] == "unrelated" and r["changed"] == "false"]
    _, out, err = kndb("show", edit["edit_id"], "--format", "table")
    above, head, _, *lines = out.splitlines()
    assert above.split() == ["p_old", "p_new"]
    assert head.split() == ["lang", "part", "text", "before", "after", "p_old", "after", "after"]
    assert sum(line.startswith(LANGS) for line in lines) == len(every) - len(hidden)
    assert (f"{len(hidden)} prompts of other facts did not change" in err) == bool(hidden)
    _, out, _ = kndb("list", "--format", "table")
    names, _, line = out.splitlines()
    told = dict(zip(names.split(), line.split(), strict=True))
    assert (told["subject"], told["neurons"]) == ("France", edit["n_neurons"])
    assert told["edit_id"] == edit["edit_id"]


def test_at_80_columns_an_edit_keeps_one_line(kndb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    kndb(*UPDATE)
    (edit,) = ledger(kndb)
    names, _, line = kndb("list", "--format", "table")[1].splitlines()
    assert len(names) <= 80
    assert edit["edit_id"].startswith(line.split()[-1])
    assert kndb("show", line.split()[-1])[0] == 0


def test_json_holds_the_summary(kndb):
    made = json.loads(kndb(*UPDATE, "--json")[1])
    summary = made["summary"]
    (edit,) = ledger(kndb)
    assert (summary["edit_id"], summary["subject"]) == (edit["edit_id"], "France")
    assert summary["in_words"][0].startswith("update of P36:Q142 (France): ")
    shown = json.loads(kndb("show", edit["edit_id"], "--json")[1])
    assert shown["summary"]["in_words"] == summary["in_words"]
    assert shown["summary"]["status"] == "stored"
    assert len(shown["rows"]) == len(made["rows"])


def test_an_edit_at_run_time_is_measured_and_not_active(kndb):
    kndb("--model", "model", "--fact", "P36:Q142", "--mode", "suppress")
    (edit,) = ledger(kndb)
    assert edit["status"] == "measured"


def test_lambda_is_searched(kndb):
    code, _, err = kndb(*UPDATE[:-2], "--auto", "--dry-run")
    assert code == 0, err
    searched = float(err.split("lambda ")[1].split(":")[0])
    assert 0.1 <= searched <= 12.8 * 1.25
    for more in (("--lambda", "2"), ("--mode", "fit")):
        code, _, err = kndb(*UPDATE[:-2], "--auto", *more)
        assert (code, "--auto searches" in err, "Loading" in err) == (2, True, False)
    code, _, err = kndb("--model", "model", "--fact", "P36:Q142", "--auto")
    assert code == 2
    assert err.endswith("name the answer with --target.\n")


FIT = (*UPDATE[:-2], "--mode", "fit", "--neurons", "knowledge")


def test_a_fit_is_an_edit_like_any_other(kndb, folder):
    code, out, err = kndb(*FIT)
    assert code == 0, err
    own = [r for r in rows(out) if r["part"] == "own"]
    assert own
    assert all(float(r["p_new_after"]) > float(r["p_new_before"]) for r in own)
    (edit,) = ledger(kndb)
    assert (edit["mode"], edit["status"], edit["strength"]) == ("fit", "stored", "")
    assert edit["control_harmonic"]
    before = weights_hash(folder / "model")
    assert kndb("apply", edit["edit_id"], "--model", "model", "--save", "one")[0] == 0
    assert weights_hash(folder / "one") != before
    assert kndb("undo", edit["edit_id"], "--model", "one", "--save", "none")[0] == 0
    assert weights_hash(folder / "none") == before


def test_a_file_is_fitted_where_its_records_have_a_target(kndb):
    edits = [{"fact": "P36:Q142", "target": "Tokyo"}, {"fact": "P36:Q17", "mode": "erase"}]
    Path("edits.jsonl").write_text("\n".join(map(json.dumps, edits)), encoding="utf-8")
    code, out, err = kndb("--model", "model", "--file", "edits.jsonl", "--mode", "fit")
    assert code == 0, err
    assert {(r["fact_key"], r["mode"]) for r in rows(out)} == {
        ("P36:Q142", "fit"),
        ("P36:Q17", "erase"),
    }


def test_facts_of_the_same_relation_are_told_apart(kndb):
    kndb("--model", "model", "--fact", "P36:Q142", "--mode", "erase", "--neurons", "layer:1")
    (edit,) = ledger(kndb)
    assert (edit["selection"], edit["n_neurons"], edit["control_harmonic"]) == ("layer:1", "48", "")
    _, out, err = kndb("show", edit["edit_id"])
    near = [r for r in rows(out) if r["part"] == "same-relation"]
    assert {r["fact_key"] for r in near} == {"P36:Q17"}
    assert "of 1 facts of the same relation changed" in err
    # Locality covers other relations only.
    far = [r for r in rows(out) if r["part"] == "unrelated"]
    kept = sum(r["changed"] == "false" for r in far) / len(far)
    assert float(edit["locality"]) == pytest.approx(kept)


def test_specific_neurons_are_fewer(kndb):
    erase = ("--model", "model", "--fact", "P36:Q142", "--mode", "erase", "--top", "48")
    kndb(*erase)
    kndb(*erase, "--neurons", "specific:0.5")
    every, specific = ledger(kndb)
    assert (every["selection"], specific["selection"]) == ("sequential", "specific:0.5")
    assert 0 < int(specific["n_neurons"]) <= int(every["n_neurons"])


def test_the_same_edit_is_made_once(kndb):
    kndb(*UPDATE)
    code, out, err = kndb(*UPDATE)
    assert (code, "already in the ledger" in err) == (0, True)
    assert rows(out)
    assert len(ledger(kndb)) == 1


def test_dry_run_stores_nothing(kndb):
    assert kndb(*UPDATE, "--dry-run")[0] == 0
    assert ledger(kndb) == []


def test_a_dry_run_of_a_file_shows_what_the_ledger_would(kndb):
    edits = [{"fact": "P36:Q142", "target": "Tokyo"}, {"fact": "P36:Q17", "mode": "erase"}]
    Path("edits.jsonl").write_text("\n".join(map(json.dumps, edits)), encoding="utf-8")
    code, out, err = kndb("--model", "model", "--file", "edits.jsonl", "--dry-run")
    assert (code, "2 edits made" in err, "nothing was stored" in err) == (0, True, True)
    assert ledger(kndb) == []
    measured = {row["fact_key"]: row for row in rows(out)}
    assert {row.pop("status") for row in measured.values()} == {"measured"}  # and no more
    kndb("--model", "model", "--file", "edits.jsonl")
    kept = {row["fact_key"]: row for row in ledger(kndb)}
    assert measured == {
        key: {name: row[name] for name in measured[key]} for key, row in kept.items()
    }


def test_apply_and_undo_give_the_weights_back_bit_for_bit(kndb, folder):
    kndb(*UPDATE)
    kndb("--model", "model", "--fact", "P36:Q17", "--mode", "erase", "--neurons", "2:46,0:47")
    first, second = (edit["edit_id"] for edit in ledger(kndb))
    before = weights_hash(folder / "model")
    assert kndb("apply", first, "--model", "model", "--save", "one")[0] == 0
    changed, original = load_weights(folder / "one"), load_weights(folder / "model")
    names = [n for n in original if not torch.equal(original[n], changed[n])]
    assert 1 <= len(names) <= 3
    assert all(".output.dense.weight" in n or ".mlp.c_proj.weight" in n for n in names)
    assert changed[names[0]].dtype == torch.bfloat16
    loads(folder / "one", names)
    told = json.loads((folder / "one" / "kndb_edits.json").read_text(encoding="utf-8"))
    assert (told["base"], told["weights_sha256"]) == (before, weights_hash(folder / "one"))
    assert told["kndb_version"] == version("kndb")
    (edit,) = told["edits"]
    assert (edit["edit_id"], edit["fact_key"], edit["mode"]) == (first, "P36:Q142", "update")
    assert (edit["target"], bool(edit["neurons"])) == ("Tokyo", True)
    readable = (folder / "one" / "config.json").stat().st_mode
    assert (folder / "one" / "model.safetensors").stat().st_mode == readable
    code, _, err = kndb("undo", first, "--model", "one", "--save", "none")
    assert code == 0, err
    assert weights_hash(folder / "none") == before
    assert not (folder / "none" / "kndb_edits.json").exists()
    assert [edit["status"] for edit in ledger(kndb)] == ["undone", "stored"]
    code, _, err = kndb("apply", first, "--model", "model", "--save", "two")
    assert (code, "is undone" in err) == (2, True)
    assert kndb("apply", second, "--model", "model", "--save", "two")[0] == 0
    code, _, err = kndb("undo", first)
    assert (code, "is undone; there is nothing to undo" in err) == (2, True)
    code, _, err = kndb("apply", second, second, "--model", "model", "--save", "three")
    assert (code, "is named twice" in err) == (2, True)
    code, _, err = kndb("undo", second, "--model", "none/such", "--save", "three")
    assert (code, "There is no folder none/such" in err) == (1, True)


def load_weights(folder: Path):
    return load_file(folder / "model.safetensors")


def loads(folder, names):
    """``from_pretrained`` loads it, including changed rows."""
    kind = AutoModelForMaskedLM if "dense" in names[0] else AutoModelForCausalLM
    weights = dict(kind.from_pretrained(folder, dtype=torch.bfloat16).named_parameters())
    stored = load_weights(folder)
    for name in names:
        assert torch.equal(weights[name].data, stored[name])


def test_two_edits_on_one_neuron_are_refused_with_a_reason(kndb):
    for fact in ("P36:Q142", "P36:Q17"):
        kndb("--model", "model", "--fact", fact, "--mode", "erase", "--neurons", "2:46")
    first, second = (edit["edit_id"] for edit in ledger(kndb))
    code, _, err = kndb("apply", first, second, "--model", "model", "--save", "both")
    assert (code, "neuron 2:46 are not as the edit knows them" in err) == (2, True)
    assert not Path("both").exists()


def test_another_models_weights_are_refused(kndb, folder):
    kndb(*UPDATE)
    (edit,) = ledger(kndb)
    assert kndb("apply", edit["edit_id"], "--model", "model", "--save", "one")[0] == 0
    code, _, err = kndb("apply", edit["edit_id"], "--model", "one", "--save", "two")
    assert (code, "made against weights" in err) == (1, True)
    code, _, err = kndb("undo", edit["edit_id"], "--model", "model", "--save", "two")
    assert (code, "no edit of kndb is in it" in err) == (1, True)


def test_a_file_of_edits_is_made_once_and_says_what_it_skipped(kndb):
    edits = [
        {"fact": "P36:Q142", "target": "Tokyo", "lambda": 2},
        {"fact": "France", "mode": "erase", "relation": "P36", "langs": ["en"]},
        {"fact": "P36:Q142", "mode": "suppress", "neurons": "knowledge"},
        {"fact": "P36:Q0", "mode": "erase"},
        {"fact": "P36:Q17", "colour": "red"},
        {
            "requested_rewrite": {
                "subject": "Japan",
                "relation_id": "P36",
                "prompt": "The capital of {} is",
                "target_new": {"str": "Paris", "id": "Q90"},
                "target_true": {"str": "Tokyo", "id": "Q1490"},
            }
        },
    ]
    Path("edits.jsonl").write_text("\n".join(map(json.dumps, edits)), encoding="utf-8")
    code, out, err = kndb("--model", "model", "--file", "edits.jsonl")
    assert code == 0, err
    made = [(r["fact_key"], r["mode"]) for r in rows(out)]
    assert sorted(made) == [
        ("P36:Q142", "erase"),
        ("P36:Q142", "suppress"),
        ("P36:Q142", "update"),
        ("P36:Q17", "update"),
    ]
    assert "4 edits made" in err
    assert "No fact matches 'P36:Q0'" in err
    assert "line 5: unknown field 'colour'" in err
    _, again, err = kndb("--model", "model", "--file", "edits.jsonl")
    assert "0 edits made" in err
    assert "4 were in the ledger" in err
    assert rows(again) == rows(out)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n", "There are no edits in edits.jsonl"),
        ("[]", "There are no edits in edits.jsonl"),
        ('{"fact": "P36:Q142", "mode": "erase"}\n{"fact"}', "line 2 is not JSON"),
        ("[{]", "is not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing(kndb, text, says):
    Path("edits.jsonl").write_text(text, encoding="utf-8")
    code, out, err = kndb("--model", "model", "--file", "edits.jsonl")
    assert (code, out, says in err) == (1, "", True), err
    assert ledger(kndb) == []


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"lambda": "x"}, "line 1: lambda is not a number: 'x'"),
        ({"lambda": -1}, "line 1: --lambda is a finite number above 0"),
        ({"langs": "en,de"}, "There is no language 'de' here"),
        ({"neurons": "9:9"}, "has no neuron 9:9"),
        ({"labels": {"de": "Tokio"}}, "There is no language 'de' here"),
    ],
)
def test_a_wrong_line_is_skipped_with_its_reason(kndb, edit, says):
    lines = [{"fact": "P36:Q142", "target": "Tokyo", **edit}, {"fact": "P36:Q17", "mode": "erase"}]
    Path("edits.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    code, out, err = kndb("--model", "model", "--file", "edits.jsonl", "--langs", "en")
    assert (code, says in err) == (0, True), err
    (made,) = rows(out)
    assert (made["fact_key"], made["langs"]) == ("P36:Q17", "en")


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ((), 2, "needs --model"),
        (("--model", "model"), 2, "either --fact or --file"),
        (("--model", "model", "--fact", "P36:Q142"), 2, "needs --mode"),
        (("--model", "model", "--fact", "P36:Q142", "--mode", "burn"), 2, "no mode 'burn'"),
        (("--model", "model", "--fact", "P36:Q142", "--mode", "update"), 2, "need a new answer"),
        (("--model", "model", "--fact", "P36:Q142", "--target", "Paris"), 2, "already"),
        (("--model", "model", "--fact", "P36:Q142", "--target", "Rome"), 2, "give --target-lang"),
        ((*UPDATE, "--langs", "en,de"), 2, "no language 'de'"),
        ((*UPDATE, "--neurons", "many"), 2, "names no neurons"),
        ((*UPDATE, "--neurons", "9:9"), 2, "no neuron 9:9"),
        ((*UPDATE, "--neurons", "layer:9"), 2, "no layer 9; it has 3"),
        ((*UPDATE, "--neurons", "layer:"), 2, "no valid number; write for example layer:5"),
        ((*UPDATE, "--neurons", "specific:2"), 2, "no valid share"),
        ((*UPDATE[:4], "--mode", "fit"), 2, "update and fit need a new answer"),
        ((*UPDATE, "--mode", "fit"), 2, "--lambda is for --mode update; fit has none"),
        ((*UPDATE, "--neurons", "degenerate"), 4, "no degenerate neurons in en,xx"),
        (("--model", "model", "--fact", "P36:Q1", "--mode", "erase"), 4, "No fact matches"),
        ((*UPDATE, "--lambda", "-1"), 2, "a finite number above 0, but -1 was given"),
        ((*UPDATE, "--lambda", "nan"), 2, "a finite number above 0"),
        ((*UPDATE[:4], "--mode", "erase", "--lambda", "2"), 2, "--lambda is for --mode update"),
        ((*UPDATE, "--label", "de=Tokio"), 2, "no language 'de'"),
        ((*UPDATE, "--label", "xx"), 2, "write LANG=ANSWER"),
        ((*UPDATE, "--run", "12345"), 4, "12345"),
        ((*UPDATE[:2], "--file", "k.duckdb"), 1, "is not UTF-8 text"),
        ((*UPDATE[:2], "--file", "model"), 1, "cannot be read: Is a directory"),
        ((*UPDATE[:4], "--target", "Tokyo " * 99, "--target-lang", "en"), 4, "no prompt can be"),
        (("show", "1"), 4, "no edit '1'"),
    ],
)
def test_what_is_wrong_is_one_sentence(kndb, args, code, says):
    found, out, err = kndb(*args)
    assert (found, out) == (code, "")
    assert says in err
    assert ledger(kndb) == []


def test_what_a_file_cannot_have_done_is_kept_as_skipped(kndb):
    unsayable = {"fact": "P36:Q142", "target": "Tokyo " * 99, "target_lang": "en"}
    edits = [unsayable, {"fact": "P36:Q17", "mode": "erase"}]
    Path("edits.jsonl").write_text("\n".join(map(json.dumps, edits)), encoding="utf-8")
    code, out, err = kndb("--model", "model", "--file", "edits.jsonl")
    assert (code, "1 edits made" in err, "skipped 1: no prompt can be" in err) == (0, True, True)
    assert sorted(row["status"] for row in rows(out)) == ["skipped", "stored"]
