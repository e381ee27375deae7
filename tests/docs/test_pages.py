"""The documentation against the program: its lines parse, and its generated pages are complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import kndb
from example_lines import parse, typed_lines
from kndb.store.describe import describe_schema
from kndb_cli.main import COMMANDS, application
from kndb_ingest.datasets.formats import FORMATS

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("docs/adding/*.md")),
    *sorted(ROOT.glob("*.md")),
]
PROGRAM: Any = get_command(application([]))
HELP = {"help", "install_completion", "show_completion"}


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package that writes pages; Sphinx finds it in the same way."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    import generate

    return generate


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_typed_line_parses(page: Path) -> None:
    for line in typed_lines(page.read_text(encoding="utf-8")):
        parse(PROGRAM, line)


def test_the_pages_have_lines_to_type() -> None:
    assert sum(len(typed_lines(page.read_text(encoding="utf-8"))) for page in PAGES) > 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_can_be_read_and_followed_in_the_repository(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert ":::" not in text  # shown as it is, where nothing builds the page
    for words, target in re.findall(r"\[([^][]*)\]\(([^)#\s]+)[^)]*\)", text):
        assert words, target
        if not target.startswith(("http", *GENERATED)):
            assert (page.parent / target).exists(), target


GENERATED = ("commands/", "reference/", "../reference/")
"""Pages that only the built site has; the front page says so."""


def below(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command with its path."""
    yield path, command
    for name, each in getattr(command, "commands", {}).items():
        yield from below(each, f"{path} {name}")


def test_every_command_has_a_page_with_all_its_options(generate: Any) -> None:
    pages = generate.command_pages()
    assert pages.keys() == {*COMMANDS, "index"}
    for name, command in PROGRAM.commands.items():
        for path, each in below(command, f"kndb {name}"):
            assert f"{path.removesuffix(' check')}\n" in pages[name]
            for param in each.params:
                names = param.opts if param.param_type_name == "option" else [param.metavar]
                assert param.name in HELP or all(f" {opt}" in pages[name] for opt in names)


def test_a_page_shows_help_default_and_examples(generate: Any) -> None:
    page = generate.command_pages()["ingest"]
    assert re.search(r":::\{option\} --tau T\n.+ Default: `0.2`.\n:::", page)
    assert re.search(
        r":::\{option\} --model MODEL\n.+ Required\. Environment variable: `KNDB_MODEL`\.\n:::",
        page,
    )
    assert "Environment variable: `KNDB_DB`." in page
    assert "```console\n$ kndb ingest --model demo-masked --dataset demo" in page


def test_help_is_shown_as_it_reads(generate: Any) -> None:
    from generate.markdown import prose

    assert prose("See 'kndb runs' or --run.") == "See `kndb runs` or `--run`."
    assert prose("of a [MASK], a_b") == "of a \\[MASK\\], a\\_b"


def test_every_table_view_and_column_is_on_the_page_of_the_database(generate: Any) -> None:
    page = generate.schema_page()
    for row in describe_schema():
        assert (f"| `{row.column}` |" if row.column else f"### {row.name}\n") in page


def test_every_public_name_is_on_the_page_of_python(generate: Any) -> None:
    page = generate.python_page()
    for name in kndb.__all__:
        assert re.search(rf"^\.\. auto\w+:: kndb\.(\w+\.)*{name}$", page, re.MULTILINE)


def test_every_form_of_fact_sets_is_in_the_table(generate: Any) -> None:
    from generate.datasets import dataset_table

    formats = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
    assert dataset_table().strip() in formats
    assert [form.name for form in FORMATS if f"\n{form.name}\n: " not in formats] == []


def test_the_picture_names_the_packages(generate: Any) -> None:
    picture = generate.data_flow()
    for package in ("models", "attribution", "store", "query", "graph", "plotting", "evaluation"):
        assert (ROOT / "kndb" / package).exists() or (ROOT / f"kndb/{package}.py").exists()
        assert f">kndb.{package}<" in picture
