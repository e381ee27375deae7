"""Language models as kndb sees them: adapters over Transformers, one row per architecture.

``load_model`` is the entry point; :class:`LanguageModel` is the contract that the attribution
engine uses.
"""

from kndb.models.base import Family, LanguageModel, ModelInfo, Target
from kndb.models.choice import ModelChoice
from kndb.models.loading import DEVICES, DTYPES, load_model
from kndb.models.tokens import Unusable

__all__ = [
    "DEVICES",
    "DTYPES",
    "Family",
    "LanguageModel",
    "ModelChoice",
    "ModelInfo",
    "Target",
    "Unusable",
    "load_model",
]
