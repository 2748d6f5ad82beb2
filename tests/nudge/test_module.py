"""A network as a module of torch gives the same answers, also after torch's own tools have changed it."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import nudge
from nudge.golden.model import chunks
from nudge.golden.model.batch import output_fraction
from nudge.golden.model.engines import Plain
from nudge.golden.model.parameters import working
from nudge.golden.model.phases import steps
from nudge.golden.training import checkpoint
from nudge.plumbing.errors import ModelError

DATA = nudge.data("embedded")
IMAGES = DATA.test_images


@pytest.fixture(scope="module")
def net():
    return nudge.Network.load("small-mnist")


def window_sums(net, images):
    """Return the outputs' window sums by the plain engine, which computes block by block as hardware does."""
    copies = working(net.spec, net.parameters)
    pixels = images.reshape(-1, *net.spec.input.shape).long()
    course = steps(net.spec, net.settings, Plain(net.spec, copies), copies, pixels, None)
    return chunks.averaged(net.spec, net.settings, course)[0]["free"][-1].flatten(1).numpy()


def test_all_test_digits_are_read_as_predict_reads_them(net):
    """Outputs equal the window sums, and not only their largest one."""
    found = net.to_module()(IMAGES)
    assert found.dtype == torch.float32
    assert found.shape == (500, 10)
    assert np.array_equal(found.argmax(1).numpy(), net.predict(IMAGES))
    sums = window_sums(net, IMAGES)
    assert np.array_equal(found.double().numpy() * 2.0 ** output_fraction(net.spec), sums)
    assert np.array_equal(sums[7], net.trace(IMAGES[7]).free[len(net.spec.stages)].window_sum.ravel())
    assert 0 < found[found > 0].min() < 1 == found.max()


def test_a_network_of_another_kind():
    """In colour, with another window and feedback, and running means."""
    net = nudge.Network(
        [nudge.Conv(3, 5), nudge.Dense(12), nudge.Dense(4)],
        input={"channels": 3, "height": 12, "width": 14, "classes": 4},
        schedule={"window": 2, "centred": True, "feedback_shift": 2},
        learning={"rates": [0.1, 0.1, 0.1]},
        seed=4,
    )
    images = nudge.data("embedded", shown=net.spec.input).test_images[:20]
    found = net.to_module()(images)
    assert output_fraction(net.spec) == 9
    assert np.array_equal(found.double().numpy() * 2**9, window_sums(net, images))
    assert np.array_equal(found.argmax(1).numpy(), net.predict(images))


def test_floats_are_the_same_images(net):
    module, few = net.to_module(), IMAGES[:20]
    wanted = module(few)
    assert torch.equal(module(few.float()), wanted)
    assert torch.equal(module(few[:, None].double() + 0.3), wanted)
    assert torch.equal(module(few.float() / 255 * 255), wanted)
    assert module(few[:0].float()).shape == (0, 10)
    assert not wanted.requires_grad


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (IMAGES[:2].float() / 255, r"from 0 to 255; the brightest pixel of these is 1: multiply them by 255"),
        (IMAGES[:2].float() + 1, "images must be from 0 to 255, not 1 to 256"),
        (IMAGES[:2].float() - 1, "images must be from 0 to 255, not -1 to 254"),
        (torch.full((1, 28, 28), float("nan")), "images must be from 0 to 255, not nan to nan"),
        (IMAGES[:2].float()[..., 1:], r"images must be uint8 \(n, 28, 28\), not torch.uint8 \(2, 28, 27\)"),
        (IMAGES[:2].long(), r"images must be uint8 \(n, 28, 28\), not torch.int64"),
    ],
)
def test_other_images_are_refused(net, images, says):
    with pytest.raises(ModelError, match=says):
        net.to_module()(images)


def test_the_state_is_that_of_the_weight_file(net):
    module = net.to_module()
    file = load_file(checkpoint.find(Path("small-mnist")))
    state = module.state_dict()
    assert state.keys() == file.keys()
    assert all(
        torch.equal(state[name], file[name]) and state[name].dtype == file[name].dtype for name in file
    )
    # other weights give other answers; loading the file's weights gives the same ones
    other = nudge.Network.preset("small", seed=1).to_module()
    wanted = module(IMAGES[:20])
    assert not torch.equal(other(IMAGES[:20]), wanted)
    assert list(other.load_state_dict(file)) == [[], []]
    assert torch.equal(other(IMAGES[:20]), wanted)


def test_what_torch_does_with_modules_changes_no_bit(net):
    module = net.to_module()
    wanted = module(IMAGES[:20])
    for changed in (
        copy.deepcopy(module),
        copy.deepcopy(module).half(),
        copy.deepcopy(module).eval().double(),
    ):
        assert torch.equal(changed(IMAGES[:20]), wanted)
    with torch.inference_mode():
        assert torch.equal(module(IMAGES[:20]), wanted)
    assert "small: Conv" in repr(module)
    # the module is a copy, which later training of the network doesn't change
    learning = nudge.Network.load("small-mnist")
    kept = learning.to_module()
    learning.fit(samples=16, free_steps=4, nudged_steps=4)
    assert torch.equal(kept(IMAGES[:20]), wanted)
