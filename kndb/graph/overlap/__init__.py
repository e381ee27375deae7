"""Knowledge neurons that languages share, counted and compared with chance. Runs no model."""

from kndb.graph.overlap.answer import overlap
from kndb.graph.overlap.compared import Compared, compare
from kndb.graph.overlap.request import Request

__all__ = ["Compared", "Request", "compare", "overlap"]
