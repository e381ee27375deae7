"""A database has what the commands have, with the same answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kndb
from kndb.plain import json_objects
from kndb.plotting.plot import PICTURES
from kndb_cli.main import main
from planted_search import FACTS, add_search
from planted_store import MODEL, plant


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("analyses") / "k.duckdb"
    add_search(path, plant(path, FACTS))
    return path


@pytest.fixture
def db(path: Path) -> Iterator[kndb.Database]:
    with kndb.open(path) as database:
        yield database


Method = Callable[[kndb.Database], kndb.Result]
AS_COMMANDS: dict[str, Method] = {
    "facts": lambda db: db.facts(),
    "relations": lambda db: db.relations(),
    "languages": lambda db: db.languages(),
    "neurons --relation capital": lambda db: db.neurons(relation="capital"),
    "query --fact Q1 --top 1": lambda db: db.query(fact="Q1", top=1),
    "runs": lambda db: db.runs(),
    "graph searches": lambda db: db.searches(),
    "graph overlap --by relation": lambda db: db.overlap("relation"),
    "graph groups --by all": lambda db: db.groups("all"),
    "graph measures --langs en": lambda db: db.measures(langs="en"),
    "edit list": lambda db: db.edits(),
    "db check": lambda db: db.check(),
}


@pytest.mark.parametrize("command", AS_COMMANDS)
def test_a_method_gives_what_its_command_prints(
    command: str, db: kndb.Database, capsys: pytest.CaptureFixture[str]
) -> None:
    found = AS_COMMANDS[command](db)
    main([*command.split(), "--db", str(db.path), "--format", "json", "-q"])
    printed = json.loads(capsys.readouterr().out)
    assert [json.loads(row) for row in json_objects(found.columns, found.rows())] == printed


def test_degenerate_sets_are_those_of_the_search(db: kndb.Database) -> None:
    found = db.degenerate()
    assert sorted(row["neurons"] for row in db.degenerate(langs="zh").to_dicts()) == ["0:2,2:8"]
    assert {row["size"] for row in found.to_dicts()} == {2, 3}
    assert len(db.degenerate(fact="P36:Q1")) == 3


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_are_figures_that_a_notebook_shows(picture: str, db: kndb.Database) -> None:
    from matplotlib.figure import Figure

    figure = db.plot(picture)  # type: ignore[arg-type]
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_neurons_know_whose_they_are(db: kndb.Database) -> None:
    whose = {MODEL.weights_sha256: MODEL.name}
    for found in (db.query(), db.neurons(), db.overlap(), db.groups(), db.measures()):
        assert found.models == found.head(1).models == whose
    assert db.degenerate().models == whose
    assert db.facts().models == {}


def test_a_database_says_what_it_holds_and_can_be_given_for_its_path(
    db: kndb.Database, path: Path
) -> None:
    assert repr(db) == f"<Database {path}: 3 facts in en, zh, 1 run>"
    assert kndb.overlap(db).rows() == db.overlap().rows()
    with kndb.open(db) as again:
        assert again.path == path
    assert repr(again) == f"<Database {path}: closed>"
