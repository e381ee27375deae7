"""Language models as kndb sees them: adapters over Transformers, one row per architecture.

``load_model`` is the entry point; :class:`LanguageModel` is the contract that the attribution
engine uses. A ``ModelChoice`` is made and checked without importing torch.
"""

from typing import TYPE_CHECKING

from kndb.lazy import lazily

__all__ = [
    "Family",
    "LanguageModel",
    "ModelChoice",
    "ModelInfo",
    "Target",
    "Unusable",
    "load_model",
]

__getattr__ = lazily(
    __name__,
    {
        "kndb.models.base": ("Family", "LanguageModel", "ModelInfo", "Target"),
        "kndb.models.choice": ("ModelChoice",),
        "kndb.models.loading": ("load_model",),
        "kndb.models.tokens": ("Unusable",),
    },
)

if TYPE_CHECKING:  # type checkers do not follow __getattr__
    from kndb.models.base import Family, LanguageModel, ModelInfo, Target
    from kndb.models.choice import ModelChoice
    from kndb.models.loading import load_model
    from kndb.models.tokens import Unusable
