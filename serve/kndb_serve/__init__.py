"""A kndb database as a web site: ``kndb serve``. It reads, runs no model, and computes nothing.

Pages call the library, as the command line does. Each page is plain data (``page.Page``), which
three renderers turn into HTML, JSON and CSV. Nothing is loaded from another host.
"""
