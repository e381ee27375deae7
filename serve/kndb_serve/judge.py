"""A loaded model that checks claims, one after the other: a model is not shared between threads."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kndb.errors import KndbError

if TYPE_CHECKING:
    from kndb.factcheck import FactChecker, Verdict
    from kndb.models import LanguageModel
    from kndb_serve.view import View

PATIENCE = 10.0
"""Seconds that a claim waits for those before it."""


class Busy(KndbError):
    """The model is still checking other claims."""


class Judge:
    """Checks claims with a model.

    Args:
        path: the database.
        model: the model.
        memory: bytes for activations.
    """

    def __init__(self, path: Path, model: LanguageModel[Any], memory: int | None = None) -> None:
        self.model = model
        self._path = path
        self._memory = memory
        self._free = threading.Lock()

    def check(self, view: View, claim: str, lang: str | None) -> Verdict:
        """The verdict on a claim.

        Raises:
            Busy: other claims wait.
            UsageError: the calibration was made with another dtype.
        """
        if not self._free.acquire(timeout=PATIENCE):
            raise Busy("The model is still checking other claims; try again in a moment.")
        try:
            checker = view.remember("checker", self._checker)
            checker.lang = lang
            (verdict,) = checker.check([claim])
            return verdict
        finally:
            self._free.release()

    def _checker(self) -> FactChecker:
        from kndb.factcheck import FactChecker  # Deferred: torch takes seconds.

        return FactChecker(self._path, self.model, explain=True, memory=self._memory)
