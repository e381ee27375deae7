"""For all tests: Ctrl-C works, in this process and in those it starts."""

import signal

# A shell that runs the tests in the background leaves it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
