"""Pages that the program writes about itself, so that no text is kept in two places.

Run before every build by ``conf.py``; nothing of it is committed.
"""

from pathlib import Path

from generate.commands import command_pages
from generate.data_flow import data_flow
from generate.notebooks import notebook_pages
from generate.python_names import python_page
from generate.schema import schema_page

__all__ = [
    "command_pages",
    "data_flow",
    "notebook_pages",
    "python_page",
    "schema_page",
    "write_pages",
]


def write_pages(folder: Path) -> None:
    """Write every generated page below ``folder``, and remove pages of what is gone."""
    pages = {
        **{f"commands/{name}.md": text for name, text in command_pages().items()},
        **{f"reference/notebook-{name}.md": text for name, text in notebook_pages().items()},
        "reference/schema.md": schema_page(),
        "reference/python.md": python_page(),
        "reference/data-flow.svg": data_flow(),
    }
    for name, text in pages.items():
        write_changed(folder / name, text)
    for file in [*folder.glob("commands/*"), *folder.glob("reference/*")]:
        if str(file.relative_to(folder)) not in pages:
            file.unlink()


def write_changed(file: Path, text: str) -> None:
    """Write a file unless it holds the text already: Sphinx reads again what is newer."""
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
