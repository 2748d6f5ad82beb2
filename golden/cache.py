"""Where compiled things are kept."""

import os
from pathlib import Path


def build_root() -> Path:
    """Folder of all builds: `NUDGE_BUILD`, or build/ of the checkout, or the user's cache for an installed package."""
    if "NUDGE_BUILD" in os.environ:
        return Path(os.environ["NUDGE_BUILD"]).absolute()
    checkout = Path(__file__).parent.parent
    return checkout / "build" if (checkout / "pyproject.toml").exists() else Path.home() / ".cache" / "nudge"
