"""Writes the site as files for any web host: every page that a link leads to, with relative links.

Pages are the server's own, made as ``Asked.static``: without what only a server can do, which is
other thresholds, sorting, queries and other forms of data. Search is a file that a script reads.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from html import escape, unescape
from pathlib import Path

from kndb.errors import UsageError
from kndb.files import whole_file
from kndb.progress import Report, silent
from kndb_serve.app import STATIC, Site, parsed
from kndb_serve.asked import Asked
from kndb_serve.pages import PAGES
from kndb_serve.pages.layers import COLOURS
from kndb_serve.reader import Reader

MOST = 20_000
"""Pages, unless said otherwise; those nearest to the front page come first."""

SECONDS = 300.0
"""Time for one page: nobody waits for it."""

INDEX = "search.json"
_MANIFEST = "kndb-export.json"
_LEFT_OUT = ("suggest",)
_PARAMS = frozenset({"run", "after", "colour", "fact", "relation", "neuron"})
"""Parameters whose values are links on pages, so that there are finitely many."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        pages: number of pages.
        failed: of these, pages that only say why they are not there.
        left_out: pages that links lead to, above the number asked for.
        size: bytes, scripts and styles included.
    """

    pages: int
    failed: int
    left_out: int
    size: int


def export_site(path: Path, folder: Path, most: int = MOST, report: Report = silent) -> Exported:
    """Write the site of the database at ``path`` into ``folder``.

    Files are replaced one by one, each as a whole. What an earlier export left and this one does
    not write is deleted at the end.

    Args:
        path: the database.
        folder: is made if it is not there.
        most: pages at most.
        report: called with pages written, and known so far.

    Raises:
        UsageError: the folder holds something else than an earlier export.
        DatabaseError: the database cannot be opened.
    """
    before = _prepare(folder)
    # No page for queries or claims: these need a server.
    site = Site(Reader(path), SECONDS, {k: v for k, v in PAGES.items() if k not in _LEFT_OUT})
    exporter = _Exporter(site, folder, most, before)
    try:
        for done in exporter.write_pages():
            report(done, len(exporter.known))
        exporter.write_index()
    finally:
        site.reader.close()
    shutil.copytree(STATIC, folder / "static", dirs_exist_ok=True)
    for name in before - exporter.written:
        (folder / name).unlink(missing_ok=True)
    _remember(folder, exporter.written)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Exported(len(exporter.known), exporter.failed, len(exporter.left_out), size)


def _prepare(folder: Path) -> set[str]:
    """The names of files that an earlier export has written.

    Raises:
        UsageError: the folder holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; give a folder to export to.")
    manifest = folder / _MANIFEST
    if not manifest.exists():
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(
                f"{folder} is not empty, and holds no earlier export; give another folder."
            )
        folder.mkdir(parents=True, exist_ok=True)
        _remember(folder, set())
    return {str(name) for name in json.loads(manifest.read_text())["files"]}


def _remember(folder: Path, names: set[str]) -> None:
    with whole_file(folder / _MANIFEST) as stream:
        stream.write(json.dumps({"files": sorted(names)}, indent=0).encode())


class _Exporter:
    """Pages in the order in which links lead to them from the front page."""

    def __init__(self, site: Site, folder: Path, most: int, before: set[str]) -> None:
        self.known: dict[str, str] = {}
        """File names by address."""
        self.written: set[str] = set()
        self.left_out: set[str] = set()
        self.failed = 0
        self._site = site
        self._folder = folder
        self._most = most
        self._listed = {*before}
        self._waiting: deque[Asked] = deque()
        self._taken: set[str] = set()
        with site.reader.lend() as database:
            runs = sorted(database.stored_runs(), key=lambda run: not run.finished)
            relations = database.relations().to_dicts()
        self._run = str(runs[0].run_id) if runs else None
        ids = {row["relation_id"] for row in relations}
        labels = Counter(row["label"] for row in relations)
        self._relations = {
            row["label"]: row["relation_id"]
            for row in relations
            if labels[row["label"]] == 1 and row["label"] not in ids
        }

    def write_pages(self) -> Iterator[int]:
        """Write page after page, and count them."""
        self._file_of("/")
        while self._waiting:
            asked = self._waiting.popleft()
            answer = self._site.answered(asked)
            self.failed += answer.status_code != 200
            name = self.known[asked.url()]
            html = bytes(answer.body).decode()
            self._write(name, _ATTRIBUTE.sub(partial(self._link, here=name), html))
            yield len(self.written)

    def write_index(self) -> None:
        """Names with the files of their pages, for the search box."""
        with self._site.reader.lend() as database:
            facts = database.facts().to_dicts()
            relations = database.relations().to_dicts()
        rows: dict[tuple[str, str, str], None] = {}
        for row in facts:
            if name := self._known("fact", row["fact_key"]):
                rows[f"{row['subject']} → {row['answer']}", row["relation"], name] = None
        for row in relations:
            if name := self._known("relation", row["relation_id"]):
                rows[row["label"], "relation", name] = None
        for asked in [*self.known]:
            if asked.startswith("/neuron/") and "?" not in asked:
                neuron = parsed(asked, "", PAGES).key
                rows[neuron, "neuron", self.known[asked]] = None
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        self._write(INDEX, f"[\n{lines}\n]\n")

    def _known(self, kind: str, key: str) -> str | None:
        return self.known.get(Asked(kind, key, {}).url())

    def _write(self, name: str, text: str) -> None:
        """Write a file that is listed before: an interrupted export leaves none that is not."""
        if name not in self._listed:
            self._listed.update(self.known.values(), [INDEX])
            _remember(self._folder, self._listed)
        file = self._folder / name
        file.parent.mkdir(exist_ok=True)
        with whole_file(file) as stream:
            stream.write(text.encode())
        self.written.add(name)

    def _link(self, found: re.Match[str], here: str) -> str:
        """An attribute with an address, made relative; without a page for it, no attribute."""
        attribute, address = found[1], unescape(found[2])
        path, _, fragment = address.partition("#")
        if not path:
            return found[0]
        up = "../" * here.count("/")
        if path.startswith("/static/") or path == f"/{INDEX}":
            return f'{attribute}="{up}{escape(path[1:])}"'
        name = self._file_of(path)
        if name is None:
            return ""
        return f'{attribute}="{up}{escape(name + ("#" + fragment if fragment else ""))}"'

    def _file_of(self, address: str) -> str | None:
        """The file of a page, which is put in the queue if it is new; None if it is left out."""
        path, _, query = address.partition("?")
        asked = self._one_name(parsed(path, query, self._site.pages))
        made = self._site.pages.get(asked.kind)
        if made is None or asked.form != "html" or not asked.params.keys() <= _PARAMS:
            return None
        url = asked.url()
        if url not in self.known:
            if len(self.known) >= self._most:
                self.left_out.add(url)
                return None
            self.known[url] = self._name(asked, url)
            self._waiting.append(asked)
        return self.known[url]

    def _one_name(self, asked: Asked) -> Asked:
        """The request by which a page is written that several addresses lead to."""
        usual = {"run": self._run, "colour": COLOURS[0]}
        params = {name: value for name, value in asked.params.items() if usual.get(name) != value}
        key = asked.key
        if asked.kind == "relation":
            key = self._relations.get(key, key)
        if "relation" in params:
            params["relation"] = self._relations.get(params["relation"], params["relation"])
        return replace(asked, key=key, params=params, static=True)

    def _name(self, asked: Asked, url: str) -> str:
        """A name that every file system can hold, and that no other page has."""
        if asked.kind == "search":
            return "index.html"
        params = [f"{name}-{value}" for name, value in sorted(asked.params.items())]
        said = "~".join(part for part in (asked.key, *params) if part)
        plain = re.sub(r"[^A-Za-z0-9_~]+", "-", said)[:80]
        folder = f"{asked.kind}/" if said else asked.kind
        name = f"{folder}{plain}.html"
        if name.lower() in self._taken:
            name = f"{folder}{plain}~{sha256(url.encode()).hexdigest()[:12]}.html"
        self._taken.add(name.lower())
        return name


_ATTRIBUTE = re.compile(r'\b(href|src|data-index)="([^"]*)"')
"""Addresses in a page of ours: quotes in texts and other attributes are escaped."""
