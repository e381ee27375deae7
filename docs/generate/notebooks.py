"""Pages of the notebooks: their texts, their code, and the outputs stored in them. Runs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def notebook_pages() -> dict[str, str]:
    """The Markdown page of each notebook, by the notebook's name."""
    return {
        file.stem: notebook_page(json.loads(file.read_text(encoding="utf-8")), file.name)
        for file in sorted(NOTEBOOKS.glob("*.ipynb"))
    }


def notebook_page(notebook: dict[str, Any], name: str) -> str:
    """A notebook as Markdown; below its title, where it can be had."""
    first, *others = notebook["cells"]
    title, _, text = "".join(first["source"]).partition("\n")
    where = f"*This is the notebook `docs/notebooks/{name}`, with the outputs stored in it.*"
    parts = [title, where, text.strip(), *(part for cell in others for part in _cell(cell))]
    return "\n\n".join(parts) + "\n"


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        yield _output(output)


def _output(output: dict[str, Any]) -> str:
    found = {kind: "".join(text) for kind, text in output.get("data", {}).items()}
    if png := found.get("image/png"):
        return _html(f'<img alt="" src="data:image/png;base64,{png.strip()}">')
    if html := found.get("text/html"):
        return _html(html)
    text = found.get("text/plain", "".join(output.get("text", [])))
    return f"```text\n{text.rstrip()}\n```"


def _html(content: str) -> str:
    """A raw block, which scrolls by itself where it is wider than the page."""
    return f'```{{raw}} html\n<div style="overflow-x:auto;margin:1em 0">{content}</div>\n```'
