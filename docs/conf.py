"""How the documentation is built: `make docs`. Strict: whatever it warns of is an error."""

import re

project = "tenure"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_design", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "tenure"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["family.css"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autoclass_content = "both"


def as_lists(app, what, name, obj, options, lines):
    """Docstrings here are plain text; where several lines begin with the name of an argument, they are a list."""
    listed = sum(re.match(r"\w+: ", line) is not None for line in lines) >= 3
    text, inside = [], False
    for line in lines:
        item = re.match(r"(\w+): (.*)", line) if listed else None
        if item:
            text += ["", f"- **{item[1]}**: {item[2]}"]
            inside = True
        elif inside and line.strip():
            text.append(f"  {line.strip()}")
        else:
            text.append(line.lstrip() if listed else line)
            inside = False
    lines[:] = text


def setup(app):
    app.connect("autodoc-process-docstring", as_lists)
