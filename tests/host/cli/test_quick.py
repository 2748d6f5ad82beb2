"""`--help`, `--version` and completion are quick: none of the large packages is imported for them."""

import os
import pty
import re
import resource
import shlex
import subprocess
import sys

import pytest

LARGE = ("torch", "numpy", "amaranth", "bokeh", "matplotlib", "safetensors", "tornado", "serial")
NUDGE = [sys.executable, "-m", "nudge"]


def imported(*arguments: str) -> set[str]:
    """Return the top packages that a command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nudge", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names = (
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    )
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["train", "--help"], ["resume", "--help"]], ids=" ".join
)
def test_nothing_large_is_imported(arguments):
    found = imported(*arguments)
    assert "typer" in found
    assert not found & set(LARGE)


def test_no_command_needs_anything_large_to_be_explained():
    code = f"""
import sys
from typer.main import get_command
from nudge.host.cli.main import app, main

def explain(words, command):
    for name, inner in getattr(command, "commands", {{}}).items():
        explain([*words, name], inner)
    assert main([*words, "--help"]) == 0
    print(*words)

explain([], get_command(app))
print("large:", *(name for name in {LARGE!r} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "\nboard status\n" in done.stdout
    assert done.stdout.splitlines()[-1] == "large:"


def seconds(*command: str) -> float:
    """Return the least processor time of five runs of a command, in seconds."""
    found = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def test_help_takes_little_more_than_its_library():
    library = seconds(sys.executable, "-c", "import typer")
    assert seconds(*NUDGE, "--help") < 6 * library
    assert seconds(*NUDGE, "--version") < 6 * library


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nudge train --preset pa", ["paper", "paper-garments"]),
        ("nudge compare --board g", ["golden"]),
        ("nudge resume --board s", ["sim"]),
        ("nudge build ice", ["icebreaker", "icepi-zero", "icesugar-pro"]),
        ("nudge eval tiny-", ["tiny-mnist"]),
        ("nudge tra", ["train"]),
    ],
)
def test_a_shell_completes_words(line, words):
    asked = {"_NUDGE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = subprocess.run(NUDGE, capture_output=True, text=True, env=os.environ | asked)
    assert (done.returncode, done.stdout.split()) == (0, words)


def test_completion_can_be_had():
    # completion is for the parent shell, here bash; `exit` keeps bash from replacing itself by the command
    line = f"{shlex.join([*NUDGE, '--show-completion'])}; exit $?"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0
    assert "_NUDGE_COMPLETE=complete_bash" in done.stdout


def on_terminal(*arguments: str) -> str:
    """Return the output of a command on a terminal of 90 columns."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "90", "TERM": "xterm-256color"}
    with subprocess.Popen([*NUDGE, *arguments], stdout=theirs, env=environment) as process:
        os.close(theirs)
        found = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end of the terminal is closed
                break
            if not part:
                break
            found += part
    os.close(ours)
    assert process.returncode == 0
    return found.decode().replace("\r\n", "\n")


def test_help_is_coloured_and_as_wide_as_the_terminal_and_plain_elsewhere():
    shown = on_terminal("train", "--help")
    assert "\x1b[1;36m" in shown
    bare = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert max(map(len, bare.splitlines())) == 90
    assert "─ Where it runs ─" in bare
    assert "[default: 1]" in bare, "a bracket is no markup"
    piped = subprocess.run([*NUDGE, "train", "--help"], capture_output=True, text=True, check=True).stdout
    assert piped.isascii()
    titles = [line[:-1] for line in piped.splitlines() if re.fullmatch(r"[A-Z][\w ]+:", line)]
    assert titles == ["Network", "Data", "Training", "Output", "Where it runs", "Options"]


def test_exit_codes_stay_at_the_end_of_the_help():
    piped = subprocess.run([*NUDGE, "--help"], capture_output=True, text=True, check=True).stdout
    assert "Exit codes:" in piped
    assert re.sub(r"\x1b\[[0-9;]*m", "", on_terminal("--help")).rstrip().splitlines()[-1].split()[0] == "130"
