"""A parser that rejects incomplete pages, and a table to put on pages."""

from __future__ import annotations

import math
from collections import Counter
from html.parser import HTMLParser
from typing import Any

from kndb.evaluation.table import Table
from kndb.store.runs import StoredRun

RUN = StoredRun(1, 2, "a<b>&c", 2, 8, "facts", "amig", 0.2, 0.5, {})
NASTY = '</td><script src="http://x">&"\''


class Page(HTMLParser):
    """What is on a page: tags, ids, references; it rejects tags that are not closed."""

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
    rows: list[tuple[Any, ...]] = [("all", "all", "all", 0.25, 0.125, 0.5, 0.0)]
    rows += [(f"P{i}", NASTY, "en", math.nan, None, None, 1e-6) for i in range(n - 1)]
    return Table(name, "Rates <of> all", columns, rows, {"tau": 0.2, "a": {"b": [1, NASTY]}}, ["x"])
