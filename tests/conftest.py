"""For all tests: Ctrl-C works here and in what is started, and the width of tables is not given."""

import os
import signal

# A shell that runs the tests in the background leaves it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("COLUMNS", None)
