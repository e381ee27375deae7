"""The report: its files, its page, what is kept, and what becomes of what is missing."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from evaluation.neuron_runs import make_run
from kndb.errors import DatabaseMissing, NotFound, UsageError
from kndb_ingest.evaluation.charts import chart
from kndb_ingest.evaluation.readable import readable
from kndb_ingest.evaluation.report import ReportRequest, Written, write_report
from kndb_ingest.evaluation.report_files import (
    as_csv,
    make_folder,
    read_table,
    write_table,
    write_text,
)
from kndb_ingest.evaluation.report_html import Section, page
from kndb_ingest.evaluation.stored import StoredRun
from kndb_ingest.evaluation.table import Table
from planted_store import plant
from small_store import Model, finished_run

RUN = StoredRun(1, "a<b>&c", 2, 8, "facts", "amig", 0.2, 0.5, {})
NASTY = '</td><script src="http://x">&"\''
MODEL_TABLES = ("factcheck", "localisation", "faithfulness")
VOID = {"meta", "br", "path", "use", "rect", "image"}


class Page(HTMLParser):
    """What is on a page: tags, ids, references; it complains of tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


def check(text: str) -> Page:
    """The page is well formed, links only within itself, and loads nothing."""
    found = Page(text)
    assert not {"script", "link", "iframe", "img", "object"} & set(found.tags)
    assert not found.values("src")
    ids = Counter(found.values("id"))
    assert max(ids.values()) == 1
    links = found.values("href")
    assert links
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    assert "http" not in text.replace("http://x", "")
    assert "@import" not in text
    assert all(ref[0] == "#" for ref in text.replace("url('", "url(").split("url(")[1:])
    return found


def estimates(name: str = "degenerate-rates", n: int = 2) -> Table:
    columns = ("relation_id", "relation", "lang", "rate", "rate_low", "rate_high", "control_rate")
    rows = [("all", "all", "all", 0.25, 0.125, 0.5, 0.0)]
    rows += [(f"P{i}", NASTY, "en", math.nan, None, None, 1e-6) for i in range(n - 1)]
    return Table(name, "Rates <of> all", columns, rows, {"tau": 0.2, "a": {"b": [1, NASTY]}}, ["x"])


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


def test_everything_is_escaped() -> None:
    missing = Table("crosslingual-pairs", NASTY, (), [], {}, [f"Run `kndb {NASTY}` first."])
    sections = [Section("crosslingual", [missing]), Section("degenerate", [estimates(n=3)])]
    text = page(RUN, sections, {"seed": NASTY})
    found = check(text)
    assert "script" not in found.tags
    shown = "".join(found.text)
    assert shown.count(NASTY) >= 4
    assert "a<b>&c" in shown


def test_long_tables_show_what_is_about_everything_first() -> None:
    text = page(RUN, [Section("degenerate", [estimates(n=60)])], {})
    found = check(text)
    assert found.tags.count("details") == 1
    assert "All 60 rows" in found.text
    assert found.tags.count("tr") == (1 + 1) + (1 + 60)


@pytest.mark.parametrize(
    ("wholes", "shown"),
    [([("all", "all")] * 2, 2), ([("all", "all"), ("all", "en"), ("P36", "all")], 3), ([], 24)],
)
def test_which_rows_of_a_long_table_come_first(wholes: list[tuple[str, str]], shown: int) -> None:
    rows = [*wholes, *[("P36", "en")] * 30]
    table = Table("degenerate", "t", ("relation", "lang"), rows)
    found = check(page(RUN, [Section("degenerate", [table])], {}))
    assert found.tags.count("tr") == (1 + shown) + (1 + len(rows))


def test_numbers_are_to_the_right_and_rounded() -> None:
    found = readable(estimates())
    assert found.heads == ["id", "relation", "lang", "rate", "control rate"]
    assert found.numeric == [False, False, False, True, True]
    assert found.rows[0][3:] == ["0.250 [0.125, 0.500]", "0.000"]
    assert found.rows[1][3:] == ["–", "1e-06"]
    text = page(RUN, [Section("degenerate", [estimates()])], {})
    assert '<td class="n">0.250 <span class="i">[0.125, 0.500]</span></td>' in text


@pytest.mark.parametrize(
    "table",
    [
        estimates(),
        Table(
            "factcheck",
            "t",
            ("method", "relation", "lang", "f1", "auroc"),
            [("degenerate", "all", "all", 0.5, math.nan), ("random", "all", "all", None, 0.5)],
        ),
        Table("faithfulness", "t", ("method", "spearman", "removed_10"), [("amig", 0.5, 0.1)]),
        Table(
            "localisation",
            "t",
            ("effect", "method", "relation", "lang", "related_relative", "unrelated_relative"),
            [("suppress", "amig", "all", "all", -0.5, 0.0), ("enhance", NASTY, "all", "all", 1, 0)],
        ),
        Table("crosslingual-pairs", "t", ("langs", "jaccard"), [("en,zh", 0.0), ("all", 0.0)]),
    ],
    ids=lambda table: table.name,
)
def test_charts_are_elements_that_need_nothing_else(table: Table) -> None:
    svg = chart(table)
    assert svg is not None
    assert "http" not in svg.replace("http://x", "")
    root = ElementTree.fromstring(svg)
    assert root.get("viewBox")
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert all(str(name).startswith(f"{table.name}-") for name in ids)


def test_without_matplotlib_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = page(RUN, [Section("degenerate", [estimates()])], {})
    assert "svg" not in check(text).tags
    assert "kndb[plot]" in text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A database with a run that was neither searched nor calibrated, and its model's folder."""
    torch.set_num_threads(1)
    return make_run(tmp_path_factory.mktemp("report"), "tiny-bert")


def request(run: tuple[Path, Path], folder: Path, **others: Any) -> ReportRequest:
    return ReportRequest(run[0], str(run[1]), folder, **{"facts": 2, "replicates": 50, **others})


@pytest.fixture(scope="module")
def written(run: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_report(request(run, tmp_path_factory.mktemp("written") / "deep" / "report"))


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
    anew = write_report(request(run, folder, seed=1))
    assert anew.kept == ()
    assert "as it was" not in anew.page.read_text(encoding="utf-8")
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
    found = write_report(ReportRequest(run[0], "tiny-bert", tmp_path, replicates=50))
    assert set(MODEL_TABLES) <= set(found.missing)
    assert "tiny-bert" in found.missing["localisation"]
    assert "crosslingual-pairs" not in found.missing
    check(found.page.read_text(encoding="utf-8"))
    assert not (tmp_path / "tables" / "localisation.csv").exists()


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
    found = write_report(ReportRequest(tmp_path / "k.duckdb", "tiny", tmp_path / "report"))
    assert "63 languages" in found.missing["crosslingual"]
    check(found.page.read_text(encoding="utf-8"))


def test_what_cannot_be_evaluated_at_all(run: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        write_report(ReportRequest(run[0], "another", tmp_path))
    with pytest.raises(DatabaseMissing):
        write_report(ReportRequest(tmp_path / "absent.duckdb", str(run[1]), tmp_path))
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="give another one"):
            write_report(request(run, folder))
