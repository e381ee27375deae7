"""A kndb database as a web site: ``kndb serve``. It only reads, and without ``--model`` runs none.

Pages call the library, as the command line does. Each page is plain data (``page.Page``), which
three renderers turn into HTML, JSON and CSV. Nothing is loaded from another host.
"""
