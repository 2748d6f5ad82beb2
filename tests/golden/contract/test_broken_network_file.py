"""Network files that are broken or can't be read: each error is one line."""

import pytest

from nudge.golden.contract import network_file
from nudge.plumbing.errors import SpecError

from .test_network_file import written

HEAD = 'name = "mine"\n'
STAGES = "stage = [{conv = 2}, {dense = 10}]\n"

#: Text of a file, and a pattern for the line of error.
BROKEN = [
    ("", "the file must have the key 'name'"),
    (HEAD, "the file must have the key 'stage'"),
    ("name = 3\n" + STAGES, "name must be 1..31 of a-z, 0-9, _ and -, a letter or digit first, not 3"),
    ('name = "../x"\n' + STAGES, "name must be 1..31 of .* not '../x'"),
    ('name = "Mine"\n' + STAGES, "name must be .* not 'Mine'"),
    (HEAD + "stage = 3\n", r"there must be 1..16 tables \[\[stage\]\], not 3"),
    (HEAD + "stage = []\n", r"there must be 1..16 tables \[\[stage\]\], not \[\]"),
    (HEAD + "stage = [{conv = 2}, 4]\n", "stage 2 must be a table, not 4"),
    (
        HEAD + "stage = [{conv = 2, dense = 3}, {dense = 10}]\n",
        "stage 1 must have either 'conv', .* or 'dense'",
    ),
    (HEAD + "stage = [{}, {dense = 10}]\n", "stage 1 must have either 'conv', .* or 'dense'"),
    (
        HEAD + "stage = [{pool = 2}, {dense = 10}]\n",
        "stage 1 has no key 'pool': it may have conv, kernel, padding, dense",
    ),
    (HEAD + "stage = [{conv = 2}, {dense = 10, kernel = 3}]\n", "stage 2: only a conv has a kernel"),
    (HEAD + "stage = [{conv = 2}, {dense = 10, padding = 1}]\n", "stage 2: only a conv has a padding"),
    (
        HEAD + "stage = [{conv = 2, padding = 2}, {dense = 10}]\n",
        "stage 1: padding of a Conv must be .* 0..1, not 2",
    ),
    (
        HEAD + "stage = [{conv = 2, kernel = 32, padding = 2}, {dense = 10}]\n",
        "1..31 .layer 0 is 28x28 in a frame of 2",
    ),
    (HEAD + "stage = [{conv = 0}, {dense = 10}]\n", "stage 1: conv must be a whole number 1..16384, not 0"),
    (
        HEAD + "stage = [{conv = 2.0}, {dense = 10}]\n",
        "stage 1: conv must be a whole number 1..16384, not 2.0",
    ),
    (
        HEAD + "stage = [{conv = true}, {dense = 10}]\n",
        "stage 1: conv must be a whole number 1..16384, not True",
    ),
    (
        HEAD + "stage = [{conv = 2, kernel = 28}, {dense = 10}]\n",
        "stage 1: kernel must be 1..27 .layer 0 is 28x28",
    ),
    (
        HEAD + "stage = [{conv = 2}, {dense = 9}]\n",
        "the last stage must have 10 units, one for each class, not 9",
    ),
    (
        HEAD + "stage = [{conv = 2}, {dense = 10}, {conv = 2}, {dense = 10}]\n",
        "Conv stages must come before Dense stages",
    ),
    (HEAD + STAGES + "seed = 3\n", "the file has no key 'seed': it may have name, input, stage, "),
    (HEAD + STAGES + "schedule = 3\n", "schedule must be a table, not 3"),
    (HEAD + STAGES + "[schedule]\nsteps = 3\n", "schedule has no key 'steps': it may have order, free, "),
    (HEAD + STAGES + "[schedule]\nwindow = 3\n", "schedule.window must be one of 1, 2, 4, 8, .* not 3"),
    (
        HEAD + STAGES + '[schedule]\norder = "random"\n',
        "schedule.order must be all or odd-even, not 'random'",
    ),
    (HEAD + STAGES + "[schedule]\nfree = 3\n", r"schedule.free steps .the averaging window has 4. must be "),
    (
        HEAD + STAGES + "[schedule]\ndecay_shift = 16\n",
        "schedule.decay_shift must be a whole number 0..15, not 16",
    ),
    (
        HEAD + STAGES + "[schedule]\nhalvings = 3\n",
        "schedule.halvings must be a list of at most 15 steps, not 3",
    ),
    (
        HEAD + STAGES + "[schedule]\nhalvings = [1, 0]\n",
        "schedule.halvings' steps must be a whole number 1..4095, not 0",
    ),
    (
        HEAD + STAGES + "[schedule]\nhalvings = [2, 1]\n",
        r"schedule.halvings must be steps in rising order, .* not .2, 1.",
    ),
    (
        HEAD + STAGES + "[schedule]\nfine = 3\n",
        "schedule.fine must be a list of at most 16 binary points, not 3",
    ),
    (
        HEAD + STAGES + "[schedule]\nfine = [3.0, 1]\n",
        "schedule.fine's binary points must be a whole number 0..12, not 3.0",
    ),
    (HEAD + STAGES + "[schedule]\nfine = [3]\n", "fine must have 2 binary points, one a stage, not 1"),
    (HEAD + STAGES + "[schedule]\ncentred = 1\n", "schedule.centred must be true or false, not 1"),
    (
        HEAD + STAGES + "[schedule]\nlinear_output = true\n",
        "needs fine, with a last binary point of 1 or more, not",
    ),
    (HEAD + STAGES + "[schedule]\nvector_field = true\n", "vector_field needs fine"),
    (HEAD + STAGES + "[schedule]\nfeedback_shift = 4\n", r"feedback_shift must be 0..3 .* not 4"),
    (
        HEAD + STAGES + "[learning]\nrates = [0.1]\n",
        r"learning.rates must be 2 numbers .* one a stage, not \[0.1\]",
    ),
    (HEAD + STAGES + "[learning]\nrates = [nan, 0.1]\n", "learning.rates must be 2 numbers"),
    (HEAD + STAGES + "[learning]\nrates = [9.0, 0.1]\n", "bundle 1: learning rate must be 0 or .* not 9"),
    (HEAD + STAGES + "[learning]\nbatch = 65\n", "learning.batch must be a whole number 1..64, not 65"),
    (HEAD + STAGES + "[learning]\nbeta = 0\n", "learning.beta must be above 0 and at most 2, not 0"),
    (HEAD + STAGES + "[learning]\nbeta = inf\n", "learning.beta must be above 0 and at most 2, not inf"),
    (HEAD + STAGES + '[learning]\ngain = "1"\n', "learning.gain must be above 0 and at most 100, not '1'"),
    (
        HEAD + STAGES + "[formats]\nweight_bits = 9\n",
        "formats.weight_bits must be a whole number 2..8, not 9",
    ),
    (HEAD + STAGES + "[lanes]\nulx3s = 3\n", "lanes.ulx3s must be a table, not 3"),
    (HEAD + STAGES + "[lanes.ulx3s]\nclock = 3\n", "lanes.ulx3s must have the key 'lanes'"),
    (
        HEAD + STAGES + "[lanes.event]\nlanes = [1, 0, 1]\n",
        "lanes.event.lanes must be a whole number 1..16384, not 0",
    ),
    (
        HEAD + STAGES + "[lanes.event]\nlanes = [1, 2, 1]\npasses = [1]\n",
        "lanes.event.passes must be two numbers",
    ),
    (
        HEAD + STAGES + "[lanes.event]\nlanes = [1, 2, 1]\nslots = 3\n",
        "lanes.event.slots must be a whole number 1..2, not 3",
    ),
    (
        HEAD + STAGES + "[lanes.event]\nlanes = [1, 2, 1]\nkernel_blocks = 1\n",
        "kernel_blocks must be true or false, not 1",
    ),
    (
        HEAD + "stage = [{dense = 16384}, {dense = 16384}, {dense = 10}]\n",
        "8,388,608 weights and biases, not 281,477,130",
    ),
    ("name = mine\n", r"mine.toml is no TOML: Invalid value .at line 1, column 8."),
    (HEAD + STAGES + "input = 3\n", "input must be a table, not 3"),
    (
        HEAD + STAGES + "[input]\nsize = 3\n",
        "input has no key 'size': it may have channels, height, width, classes",
    ),
    (HEAD + STAGES + "[input]\nchannels = 2\n", "input.channels must be 1 or 3, not 2"),
    (HEAD + STAGES + "[input]\nchannels = true\n", "input.channels must be 1 or 3, not True"),
    (HEAD + STAGES + "[input]\nheight = 7\n", "input.height must be a whole number 8..64, not 7"),
    (HEAD + STAGES + "[input]\nwidth = 65\n", "input.width must be a whole number 8..64, not 65"),
    (HEAD + STAGES + "[input]\nwidth = 28.0\n", "input.width must be a whole number 8..64, not 28.0"),
    (HEAD + STAGES + "[input]\nclasses = 1\n", "input.classes must be a whole number 2..64, not 1"),
    (HEAD + STAGES + "[input]\nclasses = 65\n", "input.classes must be a whole number 2..64, not 65"),
    (
        HEAD + STAGES + "[input]\nclasses = 26\n",
        "the last stage must have 26 units, one for each class, not 10",
    ),
    (
        HEAD + "stage = [{conv = 2, kernel = 8}, {dense = 10}]\n[input]\nheight = 8\n",
        "stage 1: kernel must be 1..7 ",
    ),
    (HEAD + "[[stage]\n", r"mine.toml is no TOML: .*line 2"),
    (HEAD + "x = " + "[" * 5000 + "\n", "mine.toml is no TOML: "),
    (HEAD + "x = " + "9" * 5000 + "\n", "mine.toml is no TOML: Exceeds the limit"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN, ids=range(len(BROKEN)))
def test_what_is_broken_is_said_in_one_line(text, message, tmp_path):
    file = written(tmp_path, text)
    with pytest.raises(SpecError, match=message) as caught:
        network_file.read(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(SpecError, match=r"--network .*none.toml: No such file or directory"):
        network_file.read(tmp_path / "none.toml")
    with pytest.raises(SpecError, match=r"--network .*: is no file"):
        network_file.read(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match=r"bytes.toml is damaged: byte 0 isn't UTF-8"):
        network_file.read(tmp_path / "bytes.toml")
    with pytest.raises(SpecError, match="has 65537 bytes; at most 65536 are read"):
        network_file.read(written(tmp_path, "#" * 65537))
