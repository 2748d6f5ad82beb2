"""The documentation site: `make docs` builds it with Sphinx into build/docs, warnings being errors."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import generate

project = "nudge"
author = copyright = "the nudge contributors"
extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["README.md", "curves/*", "pictures/*"]
html_theme = "furo"
html_title = "nudge"
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
# Text in single backticks is code, as everywhere in this project.
default_role = "code"
# Notebooks are executed anew, each in a folder of its own, with this checkout and the `nudge` beside this Python.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
# Links that lead out of docs/, such as to results/, are checked by tests/test_docs.py.
suppress_warnings = ["myst.xref_missing"]


generate.write(Path(__file__).parent / "generated")
