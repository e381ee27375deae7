"""For all tests: one thread by default, Ctrl-C works, and the width of tables is not set."""

import os
import signal

# The models here are too small to gain from threads. Before torch is imported, for children too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that runs the tests in the background leaves it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("COLUMNS", None)
