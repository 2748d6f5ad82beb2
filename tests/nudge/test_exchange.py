"""Networks as NIR graphs, and back."""

from typing import Any

import numpy as np
import pytest
import torch

import nudge
from nudge.plumbing.errors import ExchangeError, ToolError
from tests.fuzz import ends

nir = pytest.importorskip("nir")

DATA = nudge.data("embedded")


@pytest.fixture
def net():
    return nudge.Network.load("small-mnist")


def test_there_and_back_predicts_the_same(net, tmp_path):
    """After a file, the floating-point model predicts 100 digits alike, and weights are the same integers."""
    nir.write(tmp_path / "net.nir", net.to_nir())
    back = nudge.Network.from_nir(nir.read(tmp_path / "net.nir"))
    images = DATA.test_images[:100]
    ours, theirs = (each.predict(images, arithmetic="float") for each in (net, back))
    assert np.array_equal(ours, theirs)
    assert (ours == DATA.test_labels[:100].numpy()).mean() > 0.9
    assert back.spec == net.spec
    assert all(np.array_equal(net.weights[name], back.weights[name]) for name in net.weights)


def test_padding_goes_there_and_back():
    net = nudge.Network([nudge.Conv(2, 5, 2), nudge.Conv(3, 3), nudge.Conv(2, 3, 1), nudge.Dense(10)], seed=1)
    assert nudge.Network.from_nir(net.to_nir()).spec.stages == net.spec.stages
    assert [getattr(stage, "padding", 0) for stage in net.spec.stages] == [2, 0, 1, 0]


@pytest.mark.parametrize(
    ("stages", "shown"),
    [
        (
            (nudge.Conv(2, 5, 2), nudge.Conv(3, 3), nudge.Dense(5)),
            {"channels": 3, "height": 16, "width": 20, "classes": 5},
        ),
        ((nudge.Conv(4, 2), nudge.Dense(64)), {"height": 9, "width": 8, "classes": 64}),
        ((nudge.Dense(12), nudge.Dense(26)), {"channels": 3, "height": 8, "width": 9, "classes": 26}),
    ],
)
def test_any_images_and_classes_go_there_and_back(tmp_path, stages, shown):
    """Without metadata too: the graph's input has the images' shape, its last layer a unit for each class."""
    net = nudge.Network(stages, input=shown, seed=1)
    nir.write(tmp_path / "net.nir", net.to_nir())
    graph = nir.read(tmp_path / "net.nir")
    assert tuple(graph.nodes["input"].input_type["input"]) == net.spec.input.shape
    assert tuple(graph.nodes["output"].output_type["output"]) == (net.spec.classes,)
    back = nudge.Network.from_nir(graph)
    assert back.spec == net.spec
    del graph.metadata["nudge"]
    foreign = nudge.Network.from_nir(graph)
    assert (foreign.spec.input, foreign.spec.stages) == (net.spec.input, net.spec.stages)
    for other in (back, foreign):
        assert all(np.array_equal(net.weights[name], other.weights[name]) for name in net.weights)


def test_a_lambda_that_falls_is_said_as_it_ends(net):
    """A decoder's node has the last lambda; the metadata have all of them."""
    schedule = {"free": 16, "nudged": 8, "decay_shift": 0, "halvings": [1, 4]}
    annealed = nudge.Network([nudge.Conv(3), nudge.Dense(10)], schedule=schedule, seed=1)
    graph = annealed.to_nir()
    assert (graph.nodes["decoder_1"].tau == 4).all()
    assert nudge.Network.from_nir(graph).spec == annealed.spec


def test_the_graph_is_the_forward_path(net):
    """Its nodes are those of the stages, each with decoder and encoder; its weights are the masters."""
    graph = net.to_nir()
    assert [type(node).__name__ for node in graph.nodes.values()] == [
        "Input",
        *(["Conv2d", "AvgPool2d", "LI", "IF"] * 2),
        "Flatten",
        *(["Affine", "LI", "IF"] * (len(net.spec.stages) - 2)),
        "Output",
    ]
    assert graph.nodes["encoder_1"].r.shape == net.spec.layers[1].shape
    assert np.array_equal(graph.nodes["weight_2"].weight * 2**15, net.weights["bundle2.weight"])


def test_strict_names_what_nir_cannot_say(net):
    with pytest.raises(
        ExchangeError, match=r"^NIR has no node for the drives backward .*; the clip of xi .*metadata$"
    ):
        net.to_nir(strict=True)


def foreign(**changes):
    """Return a graph as from another library, without our metadata."""
    random = np.random.default_rng(1)
    ones = np.ones((4, 13, 13))
    nodes = {
        "input": nir.Input({"input": np.array([1, 28, 28])}),
        "conv": nir.Conv2d((28, 28), random.uniform(-0.3, 0.3, (4, 1, 3, 3)), 1, 0, 1, 1, np.zeros(4)),
        "pool": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "if": nir.IF(ones, ones / 2),
        "flat": nir.Flatten({"input": np.array([4, 13, 13])}, start_dim=0),
        "fc": nir.Linear(random.uniform(-0.1, 0.1, (10, 676))),
        "output": nir.Output({"output": np.array([10])}),
    } | changes
    return nir.NIRGraph(nodes, list(zip(nodes, list(nodes)[1:], strict=False)), type_check=False)


def test_a_graph_of_another_library():
    graph = foreign()
    net = nudge.Network.from_nir(graph, name="theirs")
    assert net.spec.stages == (nudge.Conv(4, 3), nudge.Dense(10))
    assert net.spec.name == "theirs"
    weight = torch.from_numpy(graph.nodes["fc"].weight)
    assert torch.equal(net.parameters.weights[1], torch.floor(weight * 2**15 + 0.5).long())
    assert net.predict(DATA.test_images[:5]).shape == (5,)


def with_edge(graph, *edge):
    return nir.NIRGraph(graph.nodes, [*graph.edges, edge], type_check=False)


WEIGHT = np.zeros((4, 1, 3, 3))


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        (
            lambda: foreign(conv=nir.Conv2d((28, 28), WEIGHT, 1, (0, 1), 1, 1, np.zeros(4))),
            r"node 'conv': padding must be \(1, 1\), not \(0, 1\)",
        ),
        (
            lambda: foreign(conv=nir.Conv2d((28, 28), WEIGHT, 1, "same", 1, 1, np.zeros(4))),
            "node 'conv': padding must be valid, not 'same'",
        ),
        (
            lambda: foreign(conv=nir.Conv2d((28, 28), WEIGHT, 2, 0, 1, 1, np.zeros(4))),
            r"node 'conv': stride must be \(1, 1\), not \(2, 2\)",
        ),
        (
            lambda: foreign(conv=nir.Conv2d((28, 28), WEIGHT, 1, 0, 2, 1, np.zeros(4))),
            "node 'conv': dilation",
        ),
        (
            lambda: foreign(conv=nir.Conv2d((28, 28), WEIGHT, 1, 0, 1, 2, np.zeros(4))),
            r"node 'conv': groups must be \(1,\)",
        ),
        (
            lambda: foreign(conv=nir.Conv2d((28, 28), WEIGHT[..., :2], 1, 0, 1, 1, np.zeros(4))),
            "node 'conv': width of the kernel must be 3, not 2",
        ),
        (
            lambda: foreign(conv=nir.Conv2d((28, 28), WEIGHT + 2, 1, 0, 1, 1, np.zeros(4))),
            r"layer 1: weight has values 2 to 2: masters are in \[-1, 1\)",
        ),
        (
            lambda: foreign(conv=nir.Conv2d((28, 28), WEIGHT + np.nan, 1, 0, 1, 1, np.zeros(4))),
            "layer 1: weight has values nan to nan",
        ),
        (
            lambda: foreign(pool=nir.AvgPool2d(np.array([3, 3]), np.array([2, 2]), np.array([0, 0]))),
            r"node 'pool': kernel_size must be \(2, 2\), not \(3, 3\)",
        ),
        (
            lambda: foreign(pool=nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))),
            "node 'pool' is SumPool2d: nudge has Conv2d, Avg",
        ),
        (
            lambda: foreign(**{"if": nir.IF(np.ones(10), np.ones(10) * 3)}),
            r"node 'if': v_reset, v_threshold and r must be \(0.0, 0.5, 1.0\)",
        ),
        (
            lambda: foreign(**{"if": nir.LI(np.ones(10) * 3, np.ones(10), np.zeros(10))}),
            r"node 'if': tau, in sweeps must be \(2.0,\), not \(3.0,\)",
        ),
        (
            lambda: foreign(fc=nir.Linear(np.zeros((10, 600)))),
            r"layer 2: weight is \(10, 600\), this network needs \(10, 676\)",
        ),
        (
            lambda: foreign(fc=nir.Linear(np.zeros((65, 676)))),
            r"NIR graph nir: input.classes must be .* 2\.\.64, not 65",
        ),
        (
            lambda: with_edge(foreign(), "fc", "conv"),
            "node 'fc' leads to conv, output: nudge's layers are a chain",
        ),
        (lambda: with_edge(foreign(), "output", "conv"), "node 'conv' is reached twice"),
        (
            lambda: nir.NIRGraph(foreign().nodes, foreign().edges[:-1], type_check=False),
            "node 'output' isn't on the way",
        ),
    ],
)
def test_what_nudge_cannot_have_is_named(graph, says):
    with pytest.raises(ExchangeError, match=says):
        nudge.Network.from_nir(graph())


class Raises:
    """Raises an error from every attribute, and from its conversion to an array."""

    def __getattr__(self, name):
        raise RuntimeError(f"no {name}\nand a second line")

    def __array__(self, *arguments, **options):
        raise ValueError("two\nlines")


HOSTILE: dict[str, Any] = {
    "none": None,
    "text": "x\n",
    "bytes": b"1",
    "object": object(),
    "raises": Raises(),
    "list": [],
    "dict": {"a": 1},
    "true": True,
    "1.5": 1.5,
    "1.5, 1.9": (1.5, 1.9),
    "three": (1, 1, 1),
    "minus": -1,
    "zero": 0,
    "one": 1,
    "nan": float("nan"),
    "infinite": np.inf,
    "large": 10**400,
    "complex": np.ones((4, 1, 3, 3)) * (0.25 + 0.5j),
    "complex one": 1 + 0.5j,
    "objects": np.array([None, 1]),
    "strings": np.array(["1", "2"]),
    "ragged": [[1], [1, 2]],
    "scalar": np.float64(0.5),
    "empty": np.zeros((0, 0, 0, 0)),
    "five dimensions": np.zeros((1, 1, 1, 1, 1)),
    "date": np.datetime64("2026-01-01"),
}


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_graphs_end_in_one_error_or_say_the_same(value):
    """A hostile attribute, node, edge, metadata or name that is accepted changes no bit of the network."""
    good = nudge.Network.from_nir(foreign())

    def same(what, graph, name):
        found = nudge.Network.from_nir(graph, name=name)
        assert found.spec == good.spec, what
        assert all(np.array_equal(found.weights[key], good.weights[key]) for key in good.weights), what

    def tried(what, graph, name="nir"):
        ends(lambda: same(what, graph, name), ExchangeError)

    hostile = HOSTILE[value]
    for key, node in foreign().nodes.items():
        for attribute in vars(node):
            graph = foreign()
            setattr(graph.nodes[key], attribute, hostile)
            tried((key, attribute), graph)
        graph = foreign()
        graph.nodes[key] = hostile
        tried(key, graph)
    for attribute in ("nodes", "edges", "metadata"):
        graph = foreign()
        setattr(graph, attribute, hostile)
        tried(attribute, graph)
    for edge in (hostile, (hostile, "conv"), ("output", hostile), ("conv", "pool", hostile)):
        graph = foreign()
        graph.edges = [*graph.edges, edge]
        tried("edge", graph)
    graph = foreign()
    graph.metadata = {"nudge": hostile}
    tried("document", graph)
    tried("name", foreign(), name=hostile)
    tried("graph", hostile)


@pytest.mark.parametrize(
    ("node", "attribute", "value", "says"),
    [
        ("conv", "stride", (1.5, 1.9), r"stride must be \(1, 1\), not \(1.5, 1.9\)"),
        ("conv", "weight", np.ones((4, 1, 3, 3)) * 0.5j, "weight must be integers or floats, not complex128"),
        ("conv", "groups", 1.5, r"groups must be \(1,\), not \(1.5,\)"),
        ("conv", "padding", (0.4, 0), r"padding must be \(0, 0\), not \(0.4, 0.0\)"),
        ("conv", "weight", np.zeros((4, 9)), r"weight must have 4 dimensions, not shape \(4, 9\)"),
        ("fc", "weight", None, "weight must be integers or floats, not object"),
        ("pool", "stride", (2.9, 2.9), r"stride must be \(2, 2\), not \(2.9, 2.9\)"),
        ("if", "r", np.ones(3) + 1j, "r must be integers or floats, not complex128"),
        ("input", "input_type", {"input": np.array([784])}, r"shape must be \(1, 28, 28\), not \(784,\)"),
    ],
)
def test_nothing_is_cut_to_what_nudge_has(node, attribute, value, says):
    graph = foreign()
    setattr(graph.nodes[node], attribute, value)
    with pytest.raises(ExchangeError, match=f"^node '{node}': {says}$"):
        nudge.Network.from_nir(graph)


def test_a_convolution_without_its_pool_is_named():
    with pytest.raises(
        ExchangeError, match=r"^node 'conv' leads to IF: AvgPool2d follows each Conv2d, and no other$"
    ):
        nudge.Network.from_nir(foreign(pool=nir.IF(np.ones(1), np.ones(1) / 2)))


def test_weights_of_any_order_and_stride_are_the_same():
    graph, other = foreign(), foreign()
    for name in ("conv", "fc"):
        weight = graph.nodes[name].weight
        other.nodes[name].weight = weight[::-1].astype(">f8")[::-1]
    one, two = map(nudge.Network.from_nir, (graph, other))
    assert all(np.array_equal(one.weights[name], two.weights[name]) for name in one.weights)


def test_metadata_of_another_network_is_refused(net):
    graph = net.to_nir()
    graph.metadata["nudge"] = "{}"
    with pytest.raises(ExchangeError, match=r"metadata 'nudge' is damaged"):
        nudge.Network.from_nir(graph)
    graph.metadata["nudge"] = nudge.Network.preset("tiny").to_nir().metadata["nudge"]
    with pytest.raises(ExchangeError, match=r"nodes aren't those of its metadata"):
        nudge.Network.from_nir(graph)


def test_without_the_package_the_error_says_how_to_get_it(net, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    with pytest.raises(ToolError, match=r"NIR needs the package nir: pip install 'nudge-fpga\[nir\]'"):
        net.to_nir()
