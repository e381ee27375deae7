"""``kndb edit --file``: interrupted and continued, and CounterFact records."""

import json
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from kndb.edit import batch, intervention
from kndb.edit.intervention import Interventions
from kndb.edit.plan import EditSettings
from kndb.edit.request import EditRequest, Job
from kndb.errors import NotFinite
from kndb.models import ModelChoice
from kndb.store.database import connect
from kndb_cli.main import main
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from overflowing import Overflowing
from pausing import READY, paused_command
from saved_models import saved

CAPITALS = {"France": "Paris", "Japan": "New Tokyo", "Spain": "euro"}
SUBJECTS = {"France": "Q142", "Japan": "Q17", "Spain": "Q29", "Germany": "Q183"}


def facts():
    for subject, capital in CAPITALS.items():
        for template in ("The capital of [X] is [Y]", "[X] is the capital [Y]"):
            yield row("P36", "capital", subject, template, capital)
    yield row("P37", "official language", "Germany", "People in [X] speak [Y]", "German")


def row(relation, label, subject, template, answer):
    return {
        "relation": relation,
        "relation_label": label,
        "subject_id": SUBJECTS[subject],
        "object_id": f"of-{answer}",
        "lang": "en",
        "template": template,
        "subject": subject,
        "answer": answer,
    }


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    """A database of the neurons of a tiny model."""
    folder = tmp_path_factory.mktemp("ingested")
    data = folder / "facts.jsonl"
    data.write_text("\n".join(map(json.dumps, facts())), encoding="utf-8")
    ingest(IngestRequest(folder / "k.duckdb", ModelChoice(str(saved("tiny-gpt2"))), str(data)))
    return folder / "k.duckdb"


@pytest.fixture
def folder(ingested, tmp_path, monkeypatch):
    """A folder with the model and a copy of the database."""
    shutil.copyfile(ingested, tmp_path / "k.duckdb")
    (tmp_path / "model").symlink_to(saved("tiny-gpt2"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KNDB_DB", "k.duckdb")
    return tmp_path


def stored(folder, sql="SELECT edit_id, created_at FROM edit ORDER BY edit_id"):
    with connect(folder / "k.duckdb", wait=60) as connection:
        return connection.execute(sql).fetchall()


MANY = 8
FILE = ("edit", "--model", "model", "--file", "many.jsonl")


@pytest.mark.long
def test_an_interrupted_file_goes_on_where_it_stopped(folder, capfd):
    edits = [
        {"fact": "P36:Q142", "target": "New Tokyo", "lambda": round(0.1 * n, 2)}
        for n in range(1, MANY + 1)
    ]
    Path("many.jsonl").write_text("\n".join(map(json.dumps, edits)), encoding="utf-8")
    pairs = "from kndb.edit import batch; batch.PLANNED_TOGETHER = 2"
    with paused_command(FILE, 5, folder / "some-are-stored", pairs) as started:
        ledger = stored(folder)
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=READY)
    assert started.returncode == 130, err
    assert b"run the same command again to continue" in err
    assert b"Traceback" not in err
    first = stored(folder)
    assert len(ledger) == 4
    assert set(ledger) <= set(first)
    assert len(first) < MANY

    assert main(FILE) == 0
    _, err = capfd.readouterr()
    assert f"{MANY - len(first)} edits made" in err
    assert f"{len(first)} were in the ledger" in err
    every = stored(folder)
    assert len(every) == MANY
    # Earlier edits are unchanged, and nothing is stored twice.
    assert set(first) <= set(every)
    measured = "SELECT edit_id, kind, count(*) FROM edit_measure GROUP BY ALL"
    neurons = "SELECT edit_id, kind, layer, neuron FROM edit_neuron"
    n_prompts = Counter((kind, n) for _, kind, n in stored(folder, measured))
    assert n_prompts == {("edit", 4): MANY, ("control", 4): MANY}
    rows = stored(folder, neurons)
    assert len(set(rows)) == len(rows) > 0


def test_others_can_write_while_an_edit_is_made(folder, monkeypatch):
    path, carry_out = folder / "k.duckdb", Interventions.carry_out
    opened = []

    def opening(*args, **kwargs):
        connect(path, write=True, wait=0).close()
        opened.append(True)
        return carry_out(*args, **kwargs)

    monkeypatch.setattr(Interventions, "carry_out", opening)
    edits = [{"fact": "P36:Q142", "target": "New Tokyo", "lambda": x} for x in (0.1, 0.2)]
    Path("two.jsonl").write_text("\n".join(map(json.dumps, edits)), encoding="utf-8")
    assert main(("edit", "--model", "model", "--file", "two.jsonl")) == 0
    assert len(opened) == len(stored(folder)) == 2


def counterfact(case, subject, new, true, relation="P36"):
    """A record in the published form (Meng et al. 2022), with invented content."""
    return {
        "case_id": case,
        "pararel_idx": 100 + case,
        "requested_rewrite": {
            "prompt": "The capital of {} is",
            "relation_id": relation,
            "target_new": {"str": new, "id": f"of-{new}"},
            "target_true": {"str": true, "id": f"of-{true}"},
            "subject": subject,
        },
        "paraphrase_prompts": [f"It rained. {subject} is the capital"],
        "neighborhood_prompts": ["The capital of Spain is"],
        "attribute_prompts": ["The capital of Japan is"],
        "generation_prompts": [f"In {subject}, people speak"],
    }


@pytest.mark.parametrize("form", ["list", "lines"])
def test_counterfact_records_are_edits(folder, capsys, form):
    records = [
        counterfact(0, "France", "New Tokyo", "Paris"),
        counterfact(1, "Japan", " euro", "New Tokyo"),
        counterfact(2, "Atlantis", "Paris", "euro"),
        counterfact(3, "Spain", "euro", "euro"),
        {"case_id": 4, "requested_rewrite": {"prompt": "{} is", "subject": "Spain"}},
    ]
    text = json.dumps(records, indent=1) if form == "list" else "\n".join(map(json.dumps, records))
    Path("counterfact.json").write_text(text, encoding="utf-8")
    code = main(["edit", "--model", "model", "--file", "counterfact.json", "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    made = [(r["fact_key"], r["mode"], r["target"], r["lang"]) for r in json.loads(out)]
    assert sorted(made) == [
        ("P36:Q142", "update", "New Tokyo", "en"),
        ("P36:Q17", "update", "euro", "en"),
    ]
    where = "record" if form == "list" else "line"
    assert "2 edits made" in err
    assert "No fact matches 'Atlantis'" in err
    assert "'euro' is the answer of P36:Q29 already" in err
    assert f"{where} 5: lacks 'target_new'" in err
    answers = """
        SELECT old_answer, new_answer FROM edit_measures
        WHERE kind = 'edit' AND fact_key = 'P36:Q142' AND part IN ('own', 'paraphrase')
    """
    assert stored(folder, answers) == [("Paris", "New Tokyo")] * 2


def overflowing_edits(folder, facts, mode="erase"):
    """Edits by a model that overflows for every prompt about Japan."""
    jobs = [Job(fact, EditSettings(mode)) for fact in facts]
    request = EditRequest(folder / "k.duckdb", Overflowing("model"))
    return batch.edit(request, jobs, len(jobs))


def test_edits_whose_numbers_are_not_finite_are_skipped_and_counted(folder, monkeypatch):
    done = overflowing_edits(folder, ["P36:Q142", "P36:Q17", "P36:Q29"])
    assert done.made == 2
    ((reason, n),) = done.skipped.items()
    assert n == 1
    assert (
        "the activations of layer 0 are not finite for the prompt 'The capital of Japan" in reason
    )
    assert len(stored(folder)) == 2
    wrong = "SELECT count(*) FROM edit_measure WHERE NOT isfinite(p_old_before + p_old_after)"
    assert stored(folder, wrong) == [(0,)]
    with pytest.raises(NotFinite, match="cannot be measured: the activations of layer 0"):
        overflowing_edits(folder, ["P36:Q17"])
    # Another fact's prompt is left out.
    assert not stored(folder, "SELECT text FROM edit_measures WHERE contains(text, 'Japan')")


def test_an_edit_that_makes_numbers_not_finite_is_skipped(folder, monkeypatch):
    monkeypatch.setattr(intervention, "SUPPRESS", float("inf"))
    request = EditRequest(folder / "k.duckdb", ModelChoice("model"))
    jobs = [Job(fact, EditSettings("suppress")) for fact in ("P36:Q142", "P36:Q29")]
    done = batch.edit(request, jobs, 2)
    assert done.made == 0
    assert sum(done.skipped.values()) == 2
    assert all("are not finite for the prompt" in reason for reason in done.skipped)
    assert stored(folder) == []
