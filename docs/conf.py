"""Configuration of the documentation site. ``make docs`` builds it, with warnings as errors."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generate import write_pages  # noqa: E402  the path above comes first

project = "kndb"
author = "The kndb authors"
copyright = "the kndb authors, Apache-2.0"
release = version = installed("kndb")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "kndb"
html_static_path = ["static"]
html_css_files = ["kndb.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
smartquotes = False  # two hyphens begin an option
pygments_style = "tango"
pygments_dark_style = "monokai"


def setup(app: Sphinx) -> None:
    """Write the generated pages before Sphinx looks for pages; set dashes when it has read one."""
    app.connect("config-inited", lambda *_: write_pages(HERE))
    app.connect("doctree-read", lambda _, page: set_dashes(page))


def set_dashes(page: nodes.document) -> None:
    """Put a dash between a parameter and its meaning, where Sphinx writes two hyphens."""
    for text in list(page.findall(nodes.Text)):
        if text.astext() == " -- ":
            text.parent.replace(text, nodes.Text(" – "))
