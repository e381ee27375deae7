"""What words contribute, stored on request: the figures of ``attribute``, and how they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

import kndb
from kndb.attribution import attribute
from kndb.errors import NotFound, UsageError
from kndb.models import ModelChoice
from kndb.store.check import check_database
from kndb.store.merging import merge
from kndb_cli.main import main
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from same_rows import assert_same_rows


def request(path: Path, *, words: bool = True, shard: str | None = None) -> IngestRequest:
    return IngestRequest(
        path,
        ModelChoice("demo-masked"),
        "demo",
        langs=["en", "zh"],
        relations="P36",
        limit=2,
        words=words,
        shard=shard,
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "k.duckdb"
    ingest(request(path))
    return path


def test_what_is_stored_is_what_attribute_finds(path: Path) -> None:
    with kndb.open(path) as db:
        rows = db.words().to_dicts()
    stored: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for row in rows:
        stored.setdefault((row["text"], row["answer"]), []).append(
            (row["word"], row["contribution"])
        )
        assert sum(row["by_layer"]) == pytest.approx(row["contribution"], abs=1e-9)
    assert {row["lang"] for row in rows} == {"en", "zh"}
    for found in attribute(kndb.load_model("demo-masked"), stored, words=True):
        words, contributions = zip(*stored[found.text, found.answer], strict=True)
        assert words == found.words
        expected = [value for _, value in found.by_word()]
        # Batches differ, and with them the paths' refinement, within the run's tolerance.
        assert contributions == pytest.approx(expected, abs=0.01 * max(map(abs, expected)))
        assert sum(contributions) == pytest.approx(found.scores.sum(), rel=0.01)
    assert check_database(path) == []


@pytest.mark.long
def test_shards_with_words_merge_to_the_same(path: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"{number}.duckdb" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        ingest(request(part, shard=f"{number}/2"))
    merge(parts, tmp_path / "whole.duckdb")
    assert_same_rows(path, tmp_path / "whole.duckdb", ["word_attribution", "prediction"])


def test_without_words_it_is_another_run_and_says_where_words_are(
    path: Path, tmp_path: Path
) -> None:
    both = tmp_path / "both.duckdb"
    both.write_bytes(path.read_bytes())
    plain = ingest(request(both, words=False))
    with kndb.open(both) as db:
        with pytest.raises(NotFound, match="others have") as raised:
            db.words()
        (named,) = raised.value.nearest
        assert "demo-masked" in named
        with_words = db.sql("SELECT DISTINCT run_id FROM word_attribution").rows()[0][0]
        assert plain.run_id != with_words
        assert len(db.words(run=with_words))
        with pytest.raises(NotFound, match="ingest --words"):
            db.words(run=with_words, lang="de")


def test_presets_without_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--words needs"):
        IngestRequest(
            tmp_path / "k.duckdb", ModelChoice("demo-masked"), "demo", preset="ig-zero", words=True
        ).check()


def test_the_command_shows_them(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "--words", "--lang", "en", "--db", str(path), "--format", "table"]) == 0
    shown = capsys.readouterr().out
    assert "contribution" in shown
    assert "█" * 16 in shown
    assert main(["query", "--words", "--top", "2", "--db", str(path)]) == 2
    assert "--top selects neurons" in capsys.readouterr().err
