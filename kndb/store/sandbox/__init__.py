"""SQL from strangers: judged before it runs, and run in a process that can do nothing else.

Three walls, each sufficient for most attacks by itself:

1. :mod:`judge` lets a statement pass only if DuckDB's own parser calls it a query, and every
   table function in it is on a list of harmless ones.
2. DuckDB opens the file read-only, with external access off and its configuration locked.
3. :mod:`worker` gives up the right to open files, to grow files and to take more memory than
   allowed before it looks at the query; :mod:`process` ends it when time runs out.
"""

from typing import TYPE_CHECKING

from kndb.lazy import lazily

__all__ = ["Ended", "Limits", "Workers", "run_apart"]

# The process of a query needs neither, nor does a query of kndb's own.
__getattr__ = lazily(
    __name__,
    {
        "kndb.store.sandbox.process": ("Limits", "run_apart"),
        "kndb.store.sandbox.workers": ("Ended", "Workers"),
    },
)

if TYPE_CHECKING:  # type checkers do not follow __getattr__
    from kndb.store.sandbox.process import Limits, run_apart
    from kndb.store.sandbox.workers import Ended, Workers
