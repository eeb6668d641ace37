"""Configuration of the documentation site.

sphinx-build -W --keep-going -b html docs build/site
"""

import json
import re
from importlib import metadata
from typing import Any

import jax
from docutils.nodes import document
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

# Signatures contain this name. It is "jaxlib._jax.Array" otherwise.
jax.Array.__name__ = "Array"

project = "jaxrec"
release = metadata.version("jaxrec")
language = "en"
smartquotes_action = "D"  # dashes; quotes are often code
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]

# The pages link to each other by their paths in the repository, so they are read from its root.
root_doc = "docs/index"
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
include_patterns = [
    "*.md",
    "docs/**",
    "clients/**README.md",
    "examples/**README.md",
    "experiments/**README.md",
    "pretrained/README.md",
]
exclude_patterns = [".*", "**/node_modules", "build", "runs"]

# Headings have the anchors that a repository host generates.
myst_heading_anchors = 4

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 90
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "jaxrec"
html_extra_path = ["redirect"]
html_copy_source = False
html_show_copyright = False


def read_notebook(app: Sphinx, docname: str, content: list[str]) -> None:
    """Convert a notebook to Markdown, with its code cells as code blocks.

    Args:
        content: the text of the page, alone in a list; it is replaced.
    """
    path = app.env.doc2path(docname)
    if path.suffix != ".ipynb":
        return
    blocks = [
        f"```python\n{text}\n```" if cell["cell_type"] == "code" else text
        for cell in json.loads(content[0])["cells"]
        for text in ["".join(cell["source"])]
    ]
    content[0] = "\n\n".join([*blocks, f"{{download}}`Download this notebook <{path.name}>`"])


def unlink_folders(app: Sphinx, page: document) -> None:
    """Replace each link to a folder, which is no page of the site, by its text."""
    folder = app.env.doc2path(app.env.docname).parent
    for link in list(page.findall(pending_xref)):
        if link["reftype"] == "myst" and (folder / link["reftarget"]).is_dir():
            link.replace_self(link.children)


def escape_setting(app: Sphinx, what: str, *arguments: Any) -> None:
    """Escape the docstring of a setting, which is plain text for `--help`."""
    lines = arguments[-1]
    if what == "attribute":
        escaped = [re.sub(r"([*|_@])", r"\\\1", line) for line in lines]
        # The escaped line break renders as nothing. Without it, napoleon reads the text before the
        # first colon as a type.
        lines[:] = [
            "\\",
            *(re.sub(r"(?<!\S)(--[a-z.-]*[a-z](?:=\w+)?)", r"``\1``", each) for each in escaped),
        ]


def move_types(app: Sphinx, *arguments: Any) -> None:
    """Move the type of each attribute from a line below its description into its signature."""
    lines = arguments[-1]
    attribute = r"(\.\. attribute:: .*\n)((?:(?!\.\. attribute).*\n)*?)   :type: (.*)"
    moved = re.sub(attribute, r"\1   :type: \3\n\2", "\n".join(lines))
    # A tilde hides the modules of a name.
    lines[:] = [
        re.sub(r"\b(\w+\.)+\b", r"~\g<0>", line) if line.startswith("   :type: ") else line
        for line in moved.split("\n")
    ]


def setup(app: Sphinx) -> None:
    """Set the source folder, and connect the functions above."""
    app.srcdir = app.confdir.parent
    app.connect("source-read", read_notebook)
    app.connect("doctree-read", unlink_folders)
    # Before and after napoleon, whose priority is 500.
    app.connect("autodoc-process-docstring", escape_setting, priority=400)
    app.connect("autodoc-process-docstring", move_types, priority=600)
