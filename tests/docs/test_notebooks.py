"""The notebooks run, in order and on one database, and hold what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from example_lines import parse, typed_lines
from kndb_cli.main import application
from notebooks import code_cells, data, differences, read, readable, run
from transcripts import difference

ROOT = Path(__file__).parents[2]
NAMES = ("first-look", "languages", "edit")
PAGES = [ROOT / "docs/notebooks" / f"{name}.ipynb" for name in NAMES]


def test_every_notebook_is_tested() -> None:
    assert {*PAGES} == {*(ROOT / "docs/notebooks").glob("*.ipynb")}


@pytest.mark.parametrize("number", [1, pytest.param(len(PAGES), marks=pytest.mark.long)])
def test_the_cells_show_what_is_stored(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert {page.stem: differences(page) for page in PAGES[:number]} == {
        name: [] for name in NAMES[:number]
    }


def test_a_cell_shows_what_it_prints_and_its_last_value() -> None:
    names: dict[str, Any] = {}
    printed, value = run("x = 2\nprint(x)\nx + 1", names, 7)
    assert (printed["text"], value["data"], value["execution_count"]) == (
        ["2\n"],
        {"text/plain": ["3"]},
        7,
    )
    assert run("x = 3", names, 8) == run("print", {"print": None}, 9) == []
    assert names["x"] == 3


def test_stored_tables_are_compared_by_their_texts() -> None:
    def shown(html: str) -> str:
        return readable([{"data": {"text/html": [html], "text/plain": ["<R>"]}}])

    assert difference(shown("<b>2:641</b> 0.44"), shown("<i>2:641</i> 0.441")) is None
    assert difference(shown("<b>2:641</b>"), shown("<b>2:642</b>")) is not None
    assert readable([{"data": data(3)}]) == "3"


def test_a_page_has_the_texts_the_code_and_the_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    from generate import notebook_pages

    pages = notebook_pages()
    assert pages.keys() == {*NAMES}
    page = pages["edit"]
    assert page.startswith("# An edit and its evidence\n\n*This is the notebook `docs/notebooks/")
    assert "```python\nmeasure() == before\n```\n\n```text\nTrue\n```" in page
    assert "```{raw} html\n<div" in page
    assert 'src="data:image/png;base64,iVBOR' in pages["languages"]
    program = get_command(application([]))
    lines = typed_lines("".join(pages.values()))
    assert len(lines) == 2
    for line in lines:
        parse(program, line)


@pytest.mark.long
def test_a_real_kernel_shows_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, nbformat = (pytest.importorskip(name) for name in ("nbclient", "nbformat"))
    monkeypatch.chdir(tmp_path)
    for page in PAGES:
        ran = nbclient.NotebookClient(nbformat.read(page, as_version=4), timeout=300).execute()
        for stored, cell in zip(code_cells(read(page)), code_cells(ran), strict=True):
            shown, printed = readable(stored["outputs"]), readable(cell["outputs"])
            assert difference(shown, printed) is None, cell["source"]
