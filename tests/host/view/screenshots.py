"""Pictures of a run's saved report for the manual, as a browser shows it: `make pictures`.

python -m tests.host.view.screenshots runs/demo docs/pictures
"""

import base64
import sys
import tempfile
from pathlib import Path
from typing import Any

from nudge.host.view.save import save
from nudge.plumbing import files
from nudge.plumbing.errors import NudgeError, UsageError

from .browser import NoBrowserError, chromium, opened

#: CSS selector of the element that each picture shows, by the picture's name.
SHOWN = {
    "report-learning": "#learning ~ .row",
    "report-answers": "#run-0 > .row",
    "report-stepper": ".stepper",
}

#: Sweeps to advance the stepper: into the phase +beta, where all of its parts show something.
STEPS = 20


def pictures(browser: Any, report: Path) -> dict[str, bytes]:
    """Return PNG files of a saved report, by name, with the stepper in the middle of its sweeps."""
    opened(browser, report.as_uri())
    stepper = browser.find_element("css selector", ".stepper .next")
    for _ in range(STEPS):
        stepper.click()
    return {name: _picture(browser, where) for name, where in SHOWN.items()}


def _picture(browser: Any, where: str) -> bytes:
    """Return a PNG of a whole element, however high; selenium's own pictures end with the window."""
    script = """
        document.documentElement.style.scrollbarWidth = 'none';  // no line breaks anew
        const box = document.querySelector(arguments[0]).getBoundingClientRect();
        return {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height, scale: 1}"""
    clip = browser.execute_script(script, where)
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    return base64.b64decode(taken["data"])


def main(arguments: list[str]) -> int:
    """Write the pictures of a run to a folder; return the exit code."""
    try:
        if len(arguments) != 2:
            raise UsageError("a run's directory and a folder are needed")
        run, folder = map(Path, arguments)
        with tempfile.TemporaryDirectory() as scratch, chromium() as browser:
            report = save([run], Path(scratch) / "report.html")
            for name, picture in pictures(browser, report).items():
                files.write(folder / f"{name}.png", picture)
    except (NudgeError, NoBrowserError) as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
