"""The documentation site: `make docs` builds it with Sphinx into build/docs, warnings being errors."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import generate
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

project = "nudge"
author = copyright = "the nudge contributors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["README.md", "curves/*", "pictures/*", "measured/check-*"]
html_theme = "furo"
html_title = "nudge"
myst_heading_anchors = 3
# Code blocks without a language are commands and their output.
highlight_language = "none"
# Smart quotes would turn the hyphens of --live into a dash.
smartquotes = False
# The copy button leaves out the prompt.
copybutton_prompt_text = "$ "
autodoc_member_order = "bysource"
autodoc_typehints = "description"
# Text in single backticks is code, as everywhere in this project.
default_role = "code"
# Notebooks are executed at each build, in temporary folders, with this checkout and this Python's `nudge`.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
# Matrices are small: a second thread gains little, and waits while other processes are busy.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
# Links out of docs/, such as to results/, are checked by tests/test_docs.py.
suppress_warnings = ["myst.xref_missing"]


def set_the_diary_apart(app: Sphinx, env: BuildEnvironment) -> None:
    """Keep the notes of the diary out of the search and the sidebar; log/README links to them."""
    for name in env.found_docs:
        if name.startswith("log/2"):
            env.metadata[name] |= {"nosearch": True, "orphan": True}


def setup(app: Sphinx) -> None:
    """Connect the hook; Sphinx calls this."""
    app.connect("env-updated", set_the_diary_apart)


generate.write(Path(__file__).parent / "generated")
