"""Knowledge neurons that languages share, counted and compared with chance. Runs no model."""

from kndb.graph.overlap.request import Request, compare, overlap

__all__ = ["Request", "compare", "overlap"]
