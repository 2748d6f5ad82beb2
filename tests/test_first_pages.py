"""README and the first pages of the manual as typed: each command, in one shell, in a fresh copy without an environment."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plumbing.cache import build_root

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "docs/networks.md")]

#: Seconds for all commands of a page: set-up from nothing, and designs that are compiled.
SECONDS = 1200

#: What is not run here, with the reason.
LEFT = {
    r"git clone .*": "this copy is the clone",
    r"nudge build ulx3s .*": "many minutes; `make verify` builds for the iCEBreaker",
}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.M | re.S)


def commands(page: Path) -> list[str]:
    """The lines of its blocks that are typed, without comments: those that begin with a program's name."""
    typed = re.compile(r"(git|cd|make|nudge|pytest|python|torchrun|\.) ")
    lines = [line for language, text in blocks(page) if language in ("", "sh") for line in text.splitlines()]
    return [line.partition("  #")[0].rstrip() for line in lines if typed.match(line)]


def left(command: str) -> str | None:
    """Why a command isn't run here; None if it is."""
    return next((why for pattern, why in LEFT.items() if re.fullmatch(pattern, command)), None)


@pytest.fixture
def copy(tmp_path):
    """What a clone would have: files that git tracks, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():  # one that was deleted is still listed
            target = tmp_path / "nudge" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
            target.chmod((ROOT / name).stat().st_mode)
    return tmp_path / "nudge"


def fresh() -> dict[str, str]:
    """A newcomer's variables: no environment of ours on the path, nothing of ours set but where builds are kept.

    Other tests compile the same designs.
    """
    hidden = ("NUDGE", "PYTHON", "PIP", "VIRTUAL_ENV", "PYTEST", "MAKE", "MFLAGS")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    path = [str(Path(sys.base_prefix) / "bin"), *os.environ["PATH"].split(os.pathsep)]
    variables["PATH"] = os.pathsep.join(entry for entry in path if not entry.startswith(sys.prefix))
    return variables | {"NUDGE_BUILD": str(build_root())}


def test_each_reason_is_used():
    typed = [command for page in PAGES for command in commands(page)]
    assert all(any(re.fullmatch(pattern, command) for command in typed) for pattern in LEFT), typed


def own_files(folder: Path) -> None:
    """What the pages take for the reader's own: letters of 16x16 pixels, and digits on pictures."""
    letters = np.random.default_rng(1).integers(0, 256, (52, 16, 16), np.uint8)
    labels = np.arange(52) % 26
    tests = {"test_images": letters[:26], "test_labels": labels[:26]}
    np.savez(folder / "letters.npz", allow_pickle=False, train_images=letters, train_labels=labels, **tests)
    for name in ("photo.jpg", "scan.png", "digit.png"):
        Image.fromarray(letters[0]).resize((90, 60)).save(folder / name)


@pytest.mark.long
def test_every_command_works_as_typed(copy):
    """Page after page, as one would read on; networks that a page shows are written to the file that it names."""
    own_files(copy)
    script = ["set -e"]
    for page in PAGES:
        for language, text in blocks(page):
            name = re.search(r'^name = "(\w+)"', text, re.M)
            if language == "toml" and name:
                (copy / f"{name[1]}.toml").write_text(text)
        script += [f"echo '$ {line}'; {line}" for line in commands(page) if not left(line)]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=copy, env=fresh(), capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "bit-identical: board == golden" in done.stdout
    assert "One image, sweep by sweep" in (copy / "report.html").read_text()
