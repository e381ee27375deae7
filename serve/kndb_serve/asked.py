"""What a request asks: the parameters of its URL, checked. Reads no database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from kndb.errors import UsageError
from kndb.store.window import Window

MOST_ROWS = 1_000
"""The most rows of a table on a page; JSON and CSV have up to ``MOST_DATA``."""

MOST_DATA = 100_000

STATIC_ROWS = 500
"""Rows of a table in a file, where nobody can ask for more."""

COMMON = ("limit", "sort", "after", "table", "token")
"""Parameters of every page."""

LONGEST = 500
"""Characters of a parameter."""


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        kind: the page's name: ``fact``.
        key: what it is about: ``P36:Q962``; empty where the page has no such thing.
        params: the parameters of its URL.
        form: ``html``, ``json``, ``csv`` or ``parquet``.
        offered: the names of the pages that there are.
        static: whether the page becomes a file, which no server answers for.
    """

    kind: str
    key: str
    params: Mapping[str, str]
    form: str = "html"
    offered: Collection[str] = ()
    static: bool = False

    def text(self, name: str) -> str | None:
        """The parameter, or None where it is missing or empty."""
        return self.params.get(name) or None

    def number(self, name: str) -> float | None:
        """The parameter as a number.

        Raises:
            UsageError: it is none.
        """
        text = self.text(name)
        try:
            return None if text is None else float(text)
        except ValueError as error:
            raise UsageError(f"{name} is {text!r:.40}, but must be a number.") from error

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """The parameter as a whole number within limits.

        Raises:
            UsageError: it is none, or too small or large.
        """
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and least <= int(text[:12]) <= most):
            raise UsageError(
                f"{name} is {text!r:.40}, but must be a whole number from {least} to {most:,}."
            )
        return int(text)

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        """The parameter, one of several words; the first where it is missing.

        Raises:
            UsageError: it is none of them.
        """
        text = self.text(name)
        if text is not None and text not in choices:
            raise UsageError(f"{name} is {text!r:.40}, but must be one of {', '.join(choices)}.")
        return text or choices[0]

    def of_table(self, name: str, table: str) -> str | None:
        """The part of ``sort`` or ``after`` that is about a table: ``neurons:-score``."""
        text = self.text(name)
        owner, colon, value = (text or "").partition(":")
        return value if colon and owner == table else None

    def limit(self, short: int) -> int:
        """Rows of a table of which a page shows ``short`` without being asked for more."""
        if self.static:
            return STATIC_ROWS
        if self.form == "html":
            return self.whole("limit", short, 1, MOST_ROWS)
        return self.whole("limit", MOST_DATA, 1, MOST_DATA)

    def window(self, table: str, short: int) -> Window:
        """The rows of a table that are asked for, of which a page shows ``short`` by default.

        Raises:
            UsageError: a number is none.
        """
        after = self.of_table("after", table) or "0"
        if not (after.isascii() and after.isdigit() and len(after) < 10):
            raise UsageError(f"after is {after!r:.40}, but must be a table and a number of rows.")
        return Window(self.limit(short), int(after), self.of_table("sort", table))

    def url(self, form: str | None = None, **changes: object) -> str:
        """The address of this page with other parameters; None takes one out."""
        params = {**self.params, **changes}
        params.pop("token", None)
        return address(self.kind, self.key, params, form or self.form)

    @property
    def path(self) -> str:
        """The address of this page without parameters."""
        return address(self.kind, self.key)

    def check(self, known: Collection[str], longest: int = LONGEST) -> None:
        """Refuse parameters that the page does not have, or of more characters than ``longest``.

        Raises:
            UsageError: there is one, or one is too long.
        """
        for name, value in self.params.items():
            if name not in known and name not in COMMON:
                has = ", ".join([*known, *COMMON[:4]])
                raise UsageError(f"This page has no parameter {name!r:.40}; it has {has}.")
            if len(value) > longest:
                raise UsageError(
                    f"{name} has {len(value):,} characters, but may have {longest:,} at most."
                )


def address(
    kind: str, key: object = "", params: Mapping[str, object] | None = None, form: str = "html"
) -> str:
    """The address of a page.

    >>> address("fact", "P36:a/b", {"run": 5, "tau": None}, "json")
    '/fact/P36%3Aa%2Fb.json?run=5'
    >>> address("fact", "odd.json"), address("search"), address("relations", form="csv")
    ('/fact/odd%2Ejson', '/', '/relations.csv')
    """
    path = "/" if kind == "search" and form == "html" else f"/{quote(kind, safe='')}"
    if key != "":
        # A key's own ending is no form; without it, "." and ".." would be steps of the path.
        path += "/" + quote(str(key), safe="").replace(".", "%2E")
    if form != "html":
        path += f".{form}"
    kept = {name: value for name, value in (params or {}).items() if value not in (None, "")}
    return path + (f"?{urlencode(kept)}" if kept else "")
