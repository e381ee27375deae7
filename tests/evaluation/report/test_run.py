"""The report: its files, which tables are kept, and how missing ones are handled."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kndb.errors import DatabaseMissing, NotFound, UsageError
from kndb.evaluation.report.files import (
    as_csv,
    make_folder,
    read_table,
    write_table,
    write_text,
)
from kndb.evaluation.report.run import ReportRequest, Written, write_report
from kndb.models import ModelChoice
from neuron_runs import make_run
from planted_store import plant
from report_page import NASTY, check, estimates
from small_store import Model, finished_run

MODEL_TABLES = ("factcheck", "localisation", "faithfulness")


class Counted(ModelChoice):
    """A choice that counts how often its model is loaded."""

    loads: ClassVar[list[str]] = []

    def load(self) -> Any:
        self.loads.append(self.name)
        return super().load()


def test_tables_come_back_from_their_files(tmp_path: Path) -> None:
    make_folder(tmp_path / "report")
    table = estimates()
    write_table(tmp_path / "report", table, "key")
    folder = tmp_path / "report" / "tables"
    assert sorted(path.name for path in folder.iterdir()) == [
        "degenerate-rates.csv",
        "degenerate-rates.json",
    ]
    with (folder / "degenerate-rates.csv").open(encoding="utf-8", newline="") as file:
        (names, *lines) = csv.reader(file)
    assert tuple(names) == table.columns
    assert lines[0] == ["all", "all", "all", "0.25", "0.125", "0.5", "0.0"]
    assert lines[1] == ["P0", NASTY, "en", "", "", "", "1e-06"]
    again = read_table(tmp_path / "report", table.name, "key")
    assert again is not None
    assert (again.title, again.columns, again.notes) == (table.title, table.columns, ("x",))
    assert again.rows == [table.rows[0], ("P0", NASTY, "en", None, None, None, 1e-6)]
    assert as_csv(again) == as_csv(table)
    assert again.settings == table.settings


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "key"}', '{"key": "key", "rows": 3}'])
def test_a_damaged_table_counts_as_none(tmp_path: Path, text: str) -> None:
    make_folder(tmp_path)
    assert read_table(tmp_path, "t", "key") is None
    (tmp_path / "tables" / "t.json").write_text(text)
    assert read_table(tmp_path, "t", "key") is None


def test_a_table_of_another_key_is_not_read(tmp_path: Path) -> None:
    make_folder(tmp_path)
    write_table(tmp_path, estimates(), "key")
    assert read_table(tmp_path, "degenerate-rates", "other") is None
    write_table(tmp_path, estimates(), None)
    assert read_table(tmp_path, "degenerate-rates", "key") is None


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_text(path, "before")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(UsageError, match="cannot be written"):
        write_text(tmp_path / "absent" / "page.html", "text")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A database with a run that was neither searched nor calibrated, and its model's folder."""
    return make_run(tmp_path_factory.mktemp("report"), "tiny-bert")


def request(
    run: tuple[Path, Path], folder: Path, kind: type[ModelChoice] = ModelChoice, **others: Any
) -> ReportRequest:
    return ReportRequest(
        run[0], kind(str(run[1])), folder, **{"facts": 2, "replicates": 50, **others}
    )


@pytest.fixture(scope="module")
def written(run: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("written") / "deep" / "report"
    return write_report(request(run, folder, Counted))


def stored(folder: Path, name: str) -> Any:
    return json.loads((folder / "tables" / f"{name}.json").read_text(encoding="utf-8"))


def test_a_report_has_what_can_be_made_and_says_what_cannot(written: Written) -> None:
    found = check(written.page.read_text(encoding="utf-8"))
    shown = "".join(found.text)
    assert written.kept == ()
    assert {"factcheck", "crosslingual-edits", "degenerate-rates"} <= set(written.missing)
    assert not {"localisation", "faithfulness", "crosslingual-pairs"} & set(written.missing)
    for command in ("kndb factcheck calibrate", "kndb graph degenerate", "kndb edit"):
        assert command in shown
    assert "svg" in found.tags
    folder = written.page.parent
    for name in ("localisation", "faithfulness", "crosslingual-pairs"):
        table = stored(folder, name)
        with (folder / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        assert len(lines) == len(table["rows"]) > 0
        assert list(lines[0]) == table["columns"]
        assert table["settings"]["model"] == "tiny-bert"


def test_all_evaluations_share_a_model_that_is_loaded_once(
    written: Written, run: tuple[Path, Path]
) -> None:
    assert not {"localisation", "faithfulness"} & set(written.missing)
    assert Counted.loads == [str(run[1])]


@pytest.mark.long
def test_tables_of_the_model_are_kept(
    written: Written, run: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    shutil.copytree(written.page.parent, folder)
    marked = stored(folder, "faithfulness")
    marked["rows"][0]["method"] = "as it was"
    (folder / "tables" / "faithfulness.json").write_text(json.dumps(marked))
    again = write_report(request(run, folder))
    assert again.kept == ("localisation", "faithfulness")
    assert "as it was" in again.page.read_text(encoding="utf-8")
    again = write_report(request(run, folder, seed=1))
    assert again.kept == ()
    assert "as it was" not in again.page.read_text(encoding="utf-8")
    assert write_report(request(run, folder, seed=1, fresh=True)).kept == ()


def test_what_was_done_before_an_interrupt_is_kept(run: tuple[Path, Path], tmp_path: Path) -> None:
    class Interrupted:
        """Stops the work when faithfulness begins."""

        def __init__(self, label: str, unit: str) -> None:
            if label == "faithfulness":
                raise KeyboardInterrupt

        def __enter__(self) -> Any:
            return lambda done, total: None

        def __exit__(self, *error: object) -> None:
            pass

    with pytest.raises(KeyboardInterrupt):
        write_report(request(run, tmp_path, facts=1), Interrupted)
    assert not (tmp_path / "index.html").exists()
    assert write_report(request(run, tmp_path, facts=1)).kept == ("localisation",)


def test_without_the_model_the_stored_tables_are_there(
    run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    found = write_report(ReportRequest(run[0], ModelChoice("tiny-bert"), tmp_path, replicates=50))
    assert set(MODEL_TABLES) <= set(found.missing)
    assert "tiny-bert" in found.missing["localisation"]
    assert "crosslingual-pairs" not in found.missing
    check(found.page.read_text(encoding="utf-8"))
    assert not (tmp_path / "tables" / "localisation.csv").exists()


@pytest.mark.long
def test_a_model_is_known_by_its_weights(run: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    path.write_bytes(run[0].read_bytes())
    finished_run(path, Model(name="tiny-bert"))  # newer, of another model of that name
    found = write_report(request((path, run[1]), tmp_path / "report", facts=1))
    assert not {"localisation", "faithfulness"} & set(found.missing)


def test_more_languages_than_can_be_compared_are_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    plant(tmp_path / "k.duckdb", {"P36:Q1": {f"l{number}": [(0, 1)] for number in range(63)}})
    found = write_report(
        ReportRequest(tmp_path / "k.duckdb", ModelChoice("tiny"), tmp_path / "report")
    )
    assert "63 languages" in found.missing["crosslingual"]
    check(found.page.read_text(encoding="utf-8"))


def test_what_cannot_be_evaluated_at_all(run: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        write_report(ReportRequest(run[0], ModelChoice("another"), tmp_path))
    with pytest.raises(DatabaseMissing):
        write_report(ReportRequest(tmp_path / "absent.duckdb", ModelChoice(str(run[1])), tmp_path))
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="give another one"):
            write_report(request(run, folder))
