"""No source unpickles, unpacks archives, evaluates text, runs a shell or uses torch's default device."""

import ast
from pathlib import Path

import pytest
from torch.utils._device import _device_constructors

FORBIDDEN = {"pickle", "marshal", "shelve", "dill", "joblib", "tarfile", "zipfile", "pty"}


@pytest.mark.parametrize("package", ["plumbing", "golden", "paper", "host", "hw", "nudge", "sim", "boards"])
def test_nothing_is_unpickled_unpacked_or_given_to_a_shell(package):
    paths = list((Path(__file__).parents[1] / package).rglob("*.py"))
    assert paths
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                if ast.unparse(node) == "from zipfile import BadZipFile":
                    continue  # an exception class unpacks nothing
                if ast.unparse(node) == "import tarfile" and path.name == "cifar.py":
                    assert ".extractall(" not in path.read_text()
                    assert ".extract(" not in path.read_text()
                    continue  # it reads members in memory
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not FORBIDDEN & {name.partition(".")[0] for name in names}, where
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in (
                    "torch.load",
                    "os.system",
                    "os.popen",
                    "eval",
                    "exec",
                    "subprocess.getoutput",
                ), where
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert given.get("shell", "False") == given.get("allow_pickle", "False") == "False", where


@pytest.mark.parametrize("package", ["plumbing", "golden", "paper", "host", "nudge"])
def test_each_tensor_is_made_on_a_device_that_is_named(package):
    makers = {f"torch.{function.__name__}" for function in _device_constructors()}
    assert "torch.zeros" in makers
    for path in (Path(__file__).parents[1] / package).rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) in makers]
        for call in calls:
            assert "device" in [keyword.arg for keyword in call.keywords], f"{path}:{call.lineno}"
        uses = [node for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node) in makers]
        assert len(uses) == len(calls), f"{path}: a maker of tensors that is passed on, as to map()"
