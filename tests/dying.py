"""A model that kills its process for every prompt about Japan first, as lack of memory may."""

from __future__ import annotations

import os
import signal
from typing import Any

from kndb.models import ModelChoice


class Dying(ModelChoice):
    """A choice whose model kills its process when it is asked about Japan."""

    def load(self) -> Any:
        model = super().load()
        targets = model.targets

        def deadly(text: str, answer: str) -> Any:
            if "of Japan" in text:
                os.kill(os.getpid(), signal.SIGKILL)
            return targets(text, answer)

        model.__dict__["targets"] = deadly
        return model
