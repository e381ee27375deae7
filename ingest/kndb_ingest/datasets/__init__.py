"""Fact sets as people publish them, read into prompts. No model, no database.

``read_dataset`` finds the form of a folder or file, reads it whole or not at all, and selects
languages, relations, facts and templates. A new form is a new module and a row in ``formats``.
"""

from kndb_ingest.datasets.dataset import Dataset, dataset_facts, read_dataset

__all__ = ["Dataset", "dataset_facts", "read_dataset"]
