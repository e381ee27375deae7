"""Asking first: only prompts whose answer the model knows are attributed."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import kndb
from kndb.models import ModelChoice
from kndb.models.asking import Asker
from kndb.store.check import check_database
from kndb_cli.main import main
from kndb_cli.output.ingest_summary import planned, summary
from kndb_ingest.datasets import read_dataset
from kndb_ingest.demo import facts_path
from kndb_ingest.pipeline import ingest
from kndb_ingest.plan import Estimate, Plan, plan
from kndb_ingest.request import IngestRequest
from kndb_ingest.summary import IngestSummary


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Capitals for the demo model, which knows half of them: the others are of another country."""
    chosen = read_dataset(facts_path(), relations=["P36"], langs=["en"], limit=8).prompts
    countries = list(dict.fromkeys(prompt.fact.subject_id for prompt in chosen))
    rows = []
    for prompt in chosen:
        place = countries.index(prompt.fact.subject_id)
        other = countries[(place + 4) % 8] if place % 2 else prompt.fact.subject_id
        answer = next(p for p in chosen if p.fact.subject_id == other)
        rows.append(
            {
                "relation": "P36",
                "subject_id": prompt.fact.subject_id,
                "object_id": answer.fact.object_id,
                "lang": "en",
                "template": prompt.template,
                "subject": prompt.subject,
                "answer": answer.answer,
            }
        )
    path = tmp_path_factory.mktemp("data") / "capitals.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def requested(database: Path, facts: Path, known: int | None) -> IngestRequest:
    return IngestRequest(
        database, ModelChoice("demo-causal", device="cpu"), str(facts), known=known
    )


def ranks(request: IngestRequest) -> dict[tuple[str, str], int]:
    """The rank of every usable prompt's answer, asked one at a time."""
    asker = Asker(request.model.load())
    found = {}
    for prompt in request.data.prompts:
        (answer,) = asker.ask([(prompt.text, prompt.answer)])
        if not isinstance(answer, str):
            found[prompt.text, prompt.answer] = answer.rank
    return found


@dataclass(frozen=True)
class Ingested:
    """A run of all facts, or of those that the model knows."""

    request: IngestRequest
    summary: IngestSummary
    told: list[tuple[int, int]]


def ingested(database: Path, facts: Path, known: int | None) -> Ingested:
    request = requested(database, facts, known)
    told: list[tuple[int, int]] = []
    return Ingested(request, ingest(request, lambda done, total: told.append((done, total))), told)


@pytest.fixture(scope="module")
def whole(facts: Path) -> Ingested:
    return ingested(facts.with_name("all.duckdb"), facts, None)


@pytest.fixture(scope="module")
def first_choices(facts: Path) -> Ingested:
    return ingested(facts.with_name("known.duckdb"), facts, 1)


def test_what_the_model_knows_is_attributed_and_the_rest_is_kept(
    whole: Ingested, first_choices: Ingested
) -> None:
    attributed_and_kept(whole, first_choices, 1)


@pytest.mark.long
def test_what_is_among_the_first_40(facts: Path, whole: Ingested, tmp_path: Path) -> None:
    attributed_and_kept(whole, ingested(tmp_path / "part.duckdb", facts, 40), 40)


def attributed_and_kept(every: Ingested, some: Ingested, known: int) -> None:
    all_of_them, part, done = every.request, some.request, some.summary
    found = ranks(all_of_them)
    expected = {prompt: "done" if rank <= known else "unknown" for prompt, rank in found.items()}
    assert set(expected.values()) == {"done", "unknown"}
    with kndb.open(part.database) as db, kndb.open(all_of_them.database) as whole:
        rows = db.sql("FROM predictions WHERE status <> 'skipped'").to_dicts()
        assert {(row["text"], row["answer"]): row["status"] for row in rows} == expected
        assert {(row["text"], row["answer"]): row["rank"] for row in rows} == found
        for row in rows:
            if row["status"] == "unknown":
                few = "the model's first choice" if known == 1 else "among the model's first 40"
                assert row["reason"] == f"the answer is not {few}"
                assert 0 < row["p_answer"] < 1
        same = "SELECT prompt_id, p_answer FROM prediction WHERE rank IS NOT NULL ORDER BY ALL"
        for ours, theirs in zip(db.sql(same).rows(), whole.sql(same).rows(), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5)
        scores = "SELECT prompt_id, layer, neuron, score FROM attribution ORDER BY ALL"
        attributed = {row[0] for row in db.sql(scores).rows()}
        kept = [row for row in whole.sql(scores).rows() if row[0] in attributed]
        assert [row[:3] for row in db.sql(scores).rows()] == [row[:3] for row in kept]
        (run,) = db.runs().to_dicts()
    statuses = list(expected.values())
    assert (run["done"], run["unknown"]) == (statuses.count("done"), statuses.count("unknown"))
    assert sum(done.unknown.values()) == statuses.count("unknown")
    assert "  unknown " in summary(done)
    assert check_database(part.database) == []
    assert ingest(part).new_prompts == 0


def test_facts_that_were_asked_do_not_lack_a_template(first_choices: Ingested) -> None:
    done = first_choices.summary
    assert sum(done.unknown.values()) > 0
    assert not done.unasked


def test_only_prompts_that_are_attributed_count_for_the_time_left(first_choices: Ingested) -> None:
    request, done = first_choices.request, first_choices.summary
    n, every = done.prompts["en"][0], len(request.data.prompts)
    assert 0 < n < every
    assert first_choices.told == [
        *((0, total) for total in range(every, n - 1, -1)),  # skipped, or only asked
        *((number, n) for number in range(1, n + 1)),
    ]


def test_a_plan_without_spread_says_from_how_many_prompts() -> None:
    plan = Plan(
        *("demo", "masked", "facts", 1, {"en": 2}, {}, 0, 0, 1.0, 2, 2, 40),
        Estimate(12.0, 12.0, 12.0),
        None,
        1000,
        6.0,
    )
    assert "a million     such prompts: about 1666 h 40 min" in planned(plan)
    assert "about 12 s (from 2 prompts)" in planned(plan)
    wide = replace(plan, seconds=Estimate(12.0, 10.0, 14.0))
    assert "about 12 s (10 s to 14 s)" in planned(wide)


def test_a_plan_stores_nothing_and_counts_what_a_run_does(
    facts: Path, whole: Ingested, tmp_path: Path
) -> None:
    new = requested(tmp_path / "k.duckdb", facts, None)
    estimated = plan(new)
    assert not new.database.exists()
    request, done = whole.request, whole.summary
    assert {lang: n for lang, (n, _) in done.prompts.items()} == estimated.prompts
    assert (estimated.skipped, estimated.facts, estimated.stored) == (done.skipped, done.facts, 0)
    assert estimated.attributed == done.prompts["en"][0]
    with kndb.open(request.database) as db:
        ((rows,),) = db.sql("SELECT count(*) FROM attribution").rows()
    assert estimated.rows == pytest.approx(rows, rel=0.2)
    every = estimated.prompt_seconds * estimated.attributed
    assert every == pytest.approx(estimated.seconds.value)
    assert 0 < estimated.seconds.low <= estimated.seconds.value <= estimated.seconds.high
    again = plan(request)
    assert (again.stored, again.attributed, again.rows) == (len(request.data.prompts), 0, 0)


def test_a_plan_of_what_the_model_knows(facts: Path, tmp_path: Path) -> None:
    request = requested(tmp_path / "k.duckdb", facts, 1)
    estimated = plan(request)
    found = ranks(request)
    assert estimated.asked == sum(estimated.prompts.values()) == len(found)  # few enough to ask all
    known = sum(rank == 1 for rank in found.values())
    assert estimated.attributed == known
    assert 0 < estimated.sampled <= known < len(found)


def test_a_plan_where_nothing_is_known_attributes_nothing(facts: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in facts.read_text(encoding="utf-8").splitlines()]
    answers = sorted({row["answer"] for row in rows})
    wrong = ({**row, "answer": next(x for x in answers if x != row["answer"])} for row in rows[:4])
    strange = tmp_path / "strange.jsonl"
    strange.write_text("\n".join(map(json.dumps, wrong)), encoding="utf-8")
    estimated = plan(requested(tmp_path / "k.duckdb", strange, 1))
    assert estimated.asked > 0
    assert (estimated.known, estimated.sampled, estimated.rows) == (0, 0, 0)


def test_the_command(facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = tmp_path / "k.duckdb"
    given = ("--model", "demo-causal", "--dataset", str(facts), "--db", str(database))
    assert main(["ingest", *given, "--known", "5", "--plan", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("demo-causal on capitals, estimated from ")
    for line in ("skipped", "known", "rows", "time", "memory", "disk"):
        assert f"\n  {line}" in out
    assert err == ""
    assert not database.exists()
    assert main(["ingest", *given, "--known", "0"]) == 2
    assert "counts ranks from 1; 0 was given" in capsys.readouterr().err


def test_the_facts_are_read_once(
    facts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = requested(tmp_path / "k.duckdb", facts, None)
    request.check()
    monkeypatch.setattr("kndb_ingest.request.read_dataset", None)
    assert request.data.sha256 == read_dataset(facts).sha256
