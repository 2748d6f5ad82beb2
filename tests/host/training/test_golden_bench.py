"""`nudge bench --board golden` prints figures that follow from its measurements; different engines end it."""

import json

import pytest

from nudge.golden.contract.presets import preset
from nudge.golden.training.data import load
from nudge.host.cli import main as cli
from nudge.host.training import golden_bench
from nudge.plumbing import compiler
from nudge.plumbing.errors import ExitCode

ARGUMENTS = ["bench", "--board", "golden", "--preset", "tiny", "--batch", "8", "--threads", "1"]


def test_json_has_the_ratio_of_the_fastest_to_plain(capsys):
    assert cli.main([*ARGUMENTS, "--json"]) == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    engines = result["engines"]
    assert (result["preset"], result["batch"], result["threads"]) == ("tiny", 8, 1)
    assert list(engines) == ["plain", "folded", "native"] if compiler.available() else ["plain", "folded"]
    assert [engine["images"] for engine in engines.values()] == [2, 8, 8][: len(engines)]
    assert result["samples_per_second"] == engines[result["fastest"]]["samples_per_second"]
    assert result["ratio"] == result["samples_per_second"] / engines["plain"]["samples_per_second"]
    for engine in engines.values():
        low, high = engine["spread"]
        assert 0 < low <= engine["samples_per_second"] <= high


def test_without_a_compiler_it_says_so(capsys, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert cli.main(ARGUMENTS) == ExitCode.OK
    out = capsys.readouterr().out
    assert "native │" not in out
    assert "no C++ compiler found" in out
    assert cli.main([*ARGUMENTS, "--json"]) == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    assert result["fastest"] == "folded"
    assert (
        result["ratio"]
        == result["engines"]["folded"]["samples_per_second"]
        / result["engines"]["plain"]["samples_per_second"]
    )


@pytest.mark.parametrize("images", [2, 8])
def test_engines_that_differ_fail(capsys, monkeypatch, images):
    true = golden_bench.train_batch

    def wrong(spec, settings, parameters, pixels, labels, *, engine, threads):
        result = true(spec, settings, parameters, pixels, labels, engine=engine, threads=threads)
        if engine == ("folded" if images == 2 else "native") and len(pixels) == images:
            result.updates.weights[1][3, 5] += 1
        return result

    if images == 8 and not compiler.available():
        pytest.skip("only two engines, and one of them gets fewer images")
    monkeypatch.setattr(golden_bench, "train_batch", wrong)
    assert cli.main(ARGUMENTS) == ExitCode.DIFFERENT
    assert f"differ on {images} images" in capsys.readouterr().err


def test_a_batch_beyond_the_data_repeats_it(monkeypatch):
    digits = load("embedded")
    few = digits._replace(train_images=digits.train_images[:3], train_labels=digits.train_labels[:3])
    seen = []
    true = golden_bench.train_batch

    def spy(spec, settings, parameters, pixels, labels, **options):
        seen.append(labels.tolist())
        return true(spec, settings, parameters, pixels, labels, **options)

    monkeypatch.setattr(golden_bench, "train_batch", spy)
    golden_bench.golden_bench(preset("tiny"), few, 5, runs=1)
    a, b, c = few.train_labels.tolist()
    assert seen[-1] == [a, b, c, a, b]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--board", "golden", "--batch", "0"], "--batch must be 1..65536, not 0"),
        (["--board", "golden", "--samples", "3"], "--samples 3"),
        (["--board", "golden", "--threads", "0"], "--threads must be 1..256, not 0"),
        (["--batch", "3"], "only with --board golden"),
        (["--threads", "3"], "only with --board golden"),
        (["--board", "golden", "--preset", "huge"], "choose one of tiny"),
    ],
)
def test_bad_options(capsys, options, words):
    assert cli.main(["bench", *options]) == ExitCode.USAGE
    assert words in capsys.readouterr().err
