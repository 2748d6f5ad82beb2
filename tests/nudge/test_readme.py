"""README's script has at most 12 lines and works, and so does the command for the picture."""

import re
from pathlib import Path

import pytest

import nudge
from nudge import pictures

README = (Path(__file__).parents[2] / "README.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.S)
    assert found is not None
    return found[1]


def test_the_script_trains_on_the_virtual_board_and_leaves_its_pictures(tmp_path, monkeypatch, capsys):
    """It runs unchanged: own network, all embedded digits, simulated RTL, with the weights of the model."""
    script = block("python")
    assert len([line for line in script.splitlines() if line.strip()]) <= 12
    assert 'board="sim"' in script
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(block("toml"))
    exec(compile(script, "README.md", "exec"), {})
    said = re.fullmatch(r"(\d+\.\d) % of the test digits are misread\n", capsys.readouterr().out)
    assert said is not None
    assert float(said[1]) < 30
    for name in ("curve.png", "raster.png"):
        assert Path(name).read_bytes().startswith(b"\x89PNG")
    assert "One image, sweep by sweep" in Path("report.html").read_text()
    model = nudge.Network.load("mine.toml")
    assert f"{model.fit('embedded', epochs=1, seed=1).error_percent:.1f}" == said[1]
    gateware = nudge.Network.load("runs/mine").weights
    assert all((gateware[name] == values).all() for name, values in model.weights.items())


COLOUR = nudge.Network(
    (nudge.Conv(3, 5, 2), nudge.Dense(4)), input={"channels": 3, "height": 12, "width": 16, "classes": 4}
)


@pytest.mark.parametrize("net", [nudge.Network.preset("tiny"), COLOUR], ids=["tiny", "colour"])
def test_the_picture_of_a_run(tmp_path, capsys, net):
    net.fit(samples=40, free_steps=6, nudged_steps=5, out=tmp_path / "run")
    assert pictures.main([str(tmp_path / "run"), str(tmp_path / "demo.png")]) == 0
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert pictures.main([str(tmp_path)]) == 2
    assert pictures.main([str(tmp_path), "x.png"]) == 2
    assert capsys.readouterr().err.endswith(
        "pictures: no run at " + f"{tmp_path}: it has no weights.safetensors (yet)\n"
    )
