"""A weight file that is damaged, or of another network, is refused."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

import nudge
from nudge.golden.contract import network_file
from nudge.golden.model.parameters import Parameters, zeros
from nudge.golden.training import checkpoint
from nudge.plumbing.errors import WeightsError

from .cut_run import SPEC, saved


def test_weights_of_another_shape_or_type_are_refused(tmp_path):
    path = saved(tmp_path)
    _, _, found = checkpoint.load(path)
    metadata = checkpoint.content(path, checkpoint.MAX_BYTES)[1]
    tensors = load_file(path)

    def forge(tensors, metadata):
        save_file(tensors, tmp_path / "bad", metadata | {"digest": checkpoint.digest(tensors, metadata)})

    large = torch.zeros(4, 1, 5, 5, dtype=torch.int16)
    for name, wrong, message in (
        ("bundle1.weight", large, r"bundle1.weight is \(4, 1, 5, 5\), tiny needs \(4, 1, 3, 3\)"),
        ("bundle2.bias", tensors["bundle2.bias"].float(), "not int16"),
        ("bundle3.weight", torch.zeros(1, dtype=torch.int16), "bundle3.weight"),
    ):
        forge(tensors | {name: wrong}, metadata)
        with pytest.raises(WeightsError, match=message):
            checkpoint.load(tmp_path / "bad")
    forge(tensors, metadata | {"spec": "1"})
    with pytest.raises(WeightsError, match=rf"spec 00000001\), not tiny \(spec {SPEC.identity:08x}"):
        checkpoint.load(tmp_path / "bad")
    save_file(tensors, tmp_path / "bad")
    with pytest.raises(WeightsError, match="format"):
        checkpoint.load(tmp_path / "bad")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="no safetensors"):
        checkpoint.load(path)
    assert found.preset == "tiny"


def test_running_means_that_no_board_takes_are_refused(tmp_path):
    spec = replace(SPEC, schedule=replace(SPEC.schedule, centred=True))
    path, parameters = tmp_path / "means.safetensors", zeros(spec)
    found = replace(
        checkpoint.load(saved(tmp_path))[2], spec=spec.identity, network=network_file.document(spec)
    )
    for mean, wrong in ((0, False), ((1 << 18) - 1, False), (1 << 18, True), (-1, True)):
        parameters.means[1][0] = mean
        checkpoint.save(path, spec, parameters, found)
        if not wrong:
            assert nudge.Network.load(path).parameters.means[1][0] == mean
            continue
        with pytest.raises(
            WeightsError, match=rf"^{path}: bundle 2: running means must be 0\.\.262143, not {mean}$"
        ):
            nudge.Network.load(path)


def test_a_changed_bit_anywhere_is_noticed(tmp_path):
    """A changed bit in tensors, metadata or safetensors' header is noticed, and so are zeros as tensors."""
    path = saved(tmp_path)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    places = [*range(0, header, 7), *range(header, len(content), 499), len(content) - 1]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = checkpoint.load(path)
        except WeightsError:
            continue
        # spaces pad the header, and are no content
        assert content[place] == ord(" "), f"byte {place} was changed and {found} was read"
    path.write_bytes(content[:header] + bytes(len(content) - header))
    with pytest.raises(
        WeightsError, match="is damaged: its content isn't that of its digest; take an earlier copy"
    ):
        checkpoint.load(path)


def test_a_file_of_before_there_were_digests(tmp_path):
    path = saved(tmp_path)
    metadata = checkpoint.content(path, checkpoint.MAX_BYTES)[1]
    old = {name: value for name, value in metadata.items() if name not in ("digest", "network")}
    tensors = load_file(path)
    save_file(tensors, path, old | {"format": checkpoint.OLD_FORMAT})
    assert checkpoint.load(path)[0] == SPEC
    save_file(tensors, path, old)
    with pytest.raises(WeightsError, match="is damaged"):
        checkpoint.load(path)
    save_file(tensors, path, old | {"format": checkpoint.OLD_FORMAT, "preset": '"mine"'})
    with pytest.raises(WeightsError, match="is of preset 'mine': this version has tiny, small"):
        checkpoint.load(path)


def test_uncommitted_masters_are_not_saved(tmp_path):
    path = saved(tmp_path)
    _, parameters, found = checkpoint.load(path)
    wide = Parameters((parameters.weights[0] + (1 << 16), parameters.weights[1]), parameters.biases)
    with pytest.raises(WeightsError, match="commit before"):
        checkpoint.save(path, SPEC, wide, found)
    assert torch.equal(checkpoint.load(path)[1].weights[0], parameters.weights[0])
