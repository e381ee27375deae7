"""Reads published fact sets into prompts. Uses no model and no database.

``read_dataset`` recognises the format of a folder or file, reads it completely or not at all, and
selects languages, relations, facts and templates. A new format is a new module and a row in
``formats``.
"""

from kndb_ingest.datasets.dataset import Dataset, dataset_facts, read_dataset

__all__ = ["Dataset", "dataset_facts", "read_dataset"]
