"""What a page's function works with: the database, the request, and which run is meant."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import kndb
from kndb.errors import NotFound, UsageError
from kndb.store.result import Result
from kndb.store.runs import StoredRun
from kndb_serve.asked import Asked, address
from kndb_serve.page import SHORT, Choice, Slider
from kndb_serve.reader import Reader

T = TypeVar("T")

NOTHING = Result((), (), [])
"""No rows."""


@dataclass(frozen=True)
class View:
    """A request and the database that answers it."""

    db: kndb.Database
    asked: Asked
    reader: Reader

    @cached_property
    def runs(self) -> list[StoredRun]:
        """All runs, finished ones first, the newest of each first."""
        runs = self.remember("runs", self.db.stored_runs)
        return sorted(runs, key=lambda run: not run.finished)

    @cached_property
    def run(self) -> StoredRun:
        """The run that is asked for, or else the newest finished one.

        Raises:
            NotFound: there is none.
        """
        return self.run_among(self.runs)

    def run_among(self, runs: Sequence[StoredRun]) -> StoredRun:
        """The run that is asked for, or else the first of these.

        Raises:
            NotFound: there is none.
            UsageError: several begin with the digits that are asked for.
        """
        asked = self.asked.text("run")
        if asked is None:
            if not runs:
                raise NotFound("The database has no run yet; `kndb ingest` makes one.")
            return runs[0]
        return self.run_named(asked)

    def run_named(self, asked: str) -> StoredRun:
        """The run of an id, its first digits, or a name.

        Raises:
            NotFound: there is none.
            UsageError: several begin with these digits.
        """
        named = [run for run in self.runs if asked in (str(run.run_id), run.name)]
        found = named or [run for run in self.runs if str(run.run_id).startswith(asked)]
        if not found:
            known = [str(run.run_id) for run in self.runs]
            raise NotFound(f"There is no run {asked!r:.40}.", known, "Runs that there are")
        if len(found) > 1:
            raise UsageError(f"{len(found)} runs begin with {asked!r:.40}; give more digits.")
        return found[0]

    @property
    def tau(self) -> float | None:
        """The threshold that is asked for."""
        return self.asked.number("tau")

    @property
    def share(self) -> float | None:
        """The share of prompts that is asked for."""
        return self.asked.number("share")

    def some(self, table: str, short: int = SHORT) -> dict[str, Any]:
        """The rows of a table that are asked for, as the library's listings take them."""
        window = self.asked.window(table, short)
        return {"limit": window.limit, "offset": window.offset, "sort": window.sort}

    def asking(self, run: StoredRun) -> dict[str, Any]:
        """The run and the thresholds, as the library's functions take them."""
        return {"run": run.run_id, "tau": self.tau, "share": self.share}

    def link(self, kind: str, key: object = "", **params: object) -> str:
        """The address of a page about the same run."""
        return address(kind, key, {"run": self.asked.text("run"), **params})

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` returns, kept for as long as the file does not change."""
        return self.reader.remember(key, make)

    def run_choice(
        self, runs: Sequence[StoredRun] | None = None, chosen: StoredRun | None = None
    ) -> Choice:
        """The field that chooses a run: of these, or of all."""
        offered = [(str(run.run_id), run_name(run)) for run in (runs or self.runs)]
        return Choice("run", "Run", offered, str((chosen or self.run).run_id))

    def sliders(self, run: StoredRun) -> list[Slider]:
        """The fields for the thresholds; none for imported neurons, which have no scores."""
        if run.tau is None or run.share is None:
            return []
        tau = run.tau if self.tau is None else self.tau
        share = run.share if self.share is None else self.share
        return [
            Slider("tau", "τ, share of the highest score", 0.05, 0.95, 0.05, tau, run.tau),
            Slider("share", "Share of prompts", 0.0, 0.95, 0.05, share, run.share),
        ]


def run_name(run: StoredRun) -> str:
    """A run in a few words, for a list to choose from."""
    name = run.name or str(run.run_id)[:6]
    unfinished = "" if run.finished else ", unfinished"
    return f"{run.model} on {run.dataset}, {run.preset}{unfinished} ({name})"


def found_or(make: Callable[[], Result]) -> tuple[Result, str]:
    """Rows, or none and the sentence why."""
    try:
        return make(), ""
    except (NotFound, UsageError) as error:
        return NOTHING, str(error)
