"""Notebooks run in this process, in order, and compared with the outputs stored in them.

``python tests/notebooks.py docs/notebooks/*.ipynb`` runs them in a new folder and writes into each
what its cells show now. No kernel and no Jupyter are needed; a long test runs them with a real one.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from html import unescape
from pathlib import Path
from typing import Any

from transcripts import difference

Cell = dict[str, Any]
Output = dict[str, Any]


def read(page: Path) -> dict[str, Any]:
    """A notebook."""
    found: dict[str, Any] = json.loads(page.read_text(encoding="utf-8"))
    return found


def code_cells(notebook: dict[str, Any]) -> list[Cell]:
    """Its cells of code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def play(notebook: dict[str, Any]) -> Iterator[tuple[Cell, list[Output]]]:
    """Run the cells of code in order: each with what it shows."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(notebook), 1):
        yield cell, run("".join(cell["source"]), names, number)


def run(source: str, names: dict[str, Any], number: int) -> list[Output]:
    """What a cell shows: what it prints, and the value of its last expression."""
    *body, last = ast.parse(source).body
    printed, value = io.StringIO(), None
    with redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), names)
    outputs: list[Output] = []
    if text := printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": lines(text)})
    if value is not None:
        result = {"data": data(value), "execution_count": number, "metadata": {}}
        outputs.append({**result, "output_type": "execute_result"})
    return outputs


def data(value: Any) -> dict[str, Any]:
    """A value in the forms in which a notebook keeps it."""
    found: dict[str, Any] = {}
    if png := getattr(value, "_repr_png_", None):
        found["image/png"] = base64.b64encode(png()).decode() + "\n"
    if html := getattr(value, "_repr_html_", lambda: None)():
        found["text/html"] = lines(html)
    return {**found, "text/plain": lines(repr(value))}


def lines(text: str) -> list[str]:
    """A text as a notebook keeps it."""
    return text.splitlines(keepends=True)


def readable(outputs: list[Output]) -> str:
    """All that outputs say in words: printed text and texts of tables; a picture is a mark.

    What libraries write to standard error in a kernel is left out.
    """
    return "\n".join(_words(each) for each in outputs if each.get("name") != "stderr")


def _words(output: Output) -> str:
    found = output.get("data", {})
    if "image/png" in found:
        return "(picture)"
    if "text/html" in found:
        return unescape(re.sub(r"<[^>]+>", " ", "".join(found["text/html"])))
    return "".join(found.get("text/plain", output.get("text", [])))


def differences(page: Path) -> list[str]:
    """The cells whose stored output differs from what they show now; `make notebooks` mends it."""
    return [
        f"{''.join(cell['source'])}: {found[1]!r} instead of {found[0]!r} in\n{readable(shown)}"
        for cell, shown in play(read(page))
        if (found := difference(readable(cell["outputs"]), readable(shown)))
    ]


def refresh(page: Path) -> None:
    """Store what the cells show now."""
    notebook = read(page)
    for number, (cell, shown) in enumerate(play(notebook), 1):
        cell["outputs"], cell["execution_count"] = shown, number
    page.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    pages = [Path(name).resolve() for name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for page in pages:
            refresh(page)
