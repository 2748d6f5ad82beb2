"""The commands of README and docs/networks.md work as typed, in one shell in a fresh copy without `.venv`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nudge.plumbing.cache import build_root

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "docs/networks.md")]

#: Time limit in seconds for all commands of all pages, including set-up and the compilation of designs.
SECONDS = 1200

#: Patterns of commands that are not run here, with the reason.
LEFT = {
    r"git clone .*": "this copy is the clone",
    r"nudge build ulx3s .*": "many minutes; `make boards` builds for every board",
}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.M | re.S)


def commands(page: Path) -> list[str]:
    """Return the lines of untagged and `sh` blocks that begin with a program's name, without comments."""
    typed = re.compile(r"(git|cd|make|nudge|pytest|python|torchrun|\.) ")
    lines = [line for language, text in blocks(page) if language in ("", "sh") for line in text.splitlines()]
    return [line.partition("  #")[0].rstrip() for line in lines if typed.match(line)]


def left(command: str) -> str | None:
    """Return the reason why a command isn't run here, or None if it is run."""
    return next((why for pattern, why in LEFT.items() if re.fullmatch(pattern, command)), None)


@pytest.fixture
def copy(tmp_path):
    """A copy of all files that git tracks or doesn't ignore, as a clone would have them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if os.path.lexists(ROOT / name):  # git also lists deleted files
            target = tmp_path / "nudge" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target, follow_symlinks=False)
    return tmp_path / "nudge"


def fresh() -> dict[str, str]:
    """Return a newcomer's variables: this environment is off the path, and of ours only NUDGE_BUILD is set.

    The build cache is shared because other tests compile the same designs.
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
    """Write the files that the pages ask of the reader: `letters.npz` of 16x16 pixels, and three pictures."""
    letters = np.random.default_rng(1).integers(0, 256, (52, 16, 16), np.uint8)
    labels = np.arange(52) % 26
    tests = {"test_images": letters[:26], "test_labels": labels[:26]}
    np.savez(folder / "letters.npz", allow_pickle=False, train_images=letters, train_labels=labels, **tests)
    for name in ("photo.jpg", "scan.png", "digit.png"):
        Image.fromarray(letters[0]).resize((90, 60)).save(folder / name)


@pytest.mark.long
def test_every_command_works_as_typed(copy):
    """One shell runs all pages in order; networks that a page shows are first written to NAME.toml."""
    own_files(copy)
    script = ["set -e"]
    for page in PAGES:
        for language, text in blocks(page):
            name = re.search(r'^name = "(\w+)"', text, re.M)
            if language == "toml" and name:
                (copy / f"{name[1]}.toml").write_text(text)
        script += [f"echo '$ {line}'; {line}" for line in commands(page) if not left(line)]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=copy,
        env=fresh(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "bit-identical: board == golden" in done.stdout
    assert "One image, sweep by sweep" in (copy / "report.html").read_text()
