"""Weights and networks for other libraries: torch, and the Neuromorphic Intermediate Representation (NIR).

A NIR graph has a network's forward path: for each layer its weights (`Conv2d` with `AvgPool2d`, or `Affine`),
a decoder (`LI`) and a spike encoder (`IF`), with time in sweeps. NIR has no nodes for the rest (`UNSAID`), so
another simulator runs an approximation of the free phase. The graph's metadata contains the whole network,
which `from_nir` restores.
"""

import json
import reprlib
from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nudge.golden.contract import network_file
from nudge.golden.contract.formats import Formats
from nudge.golden.contract.shapes import Conv
from nudge.golden.contract.spec import Spec
from nudge.golden.model.parameters import Parameters, working, zeros
from nudge.golden.training.checkpoint import names
from nudge.plumbing import install
from nudge.plumbing.errors import ExchangeError, SpecError, ToolError

if TYPE_CHECKING:
    import nir

#: Parts of a network for which NIR has no node.
UNSAID = (
    "the drives backward through transposed weights",
    "the clip of xi to [0, 1]",
    "the predictive part of the encoder",
    "a reset by subtraction",
    "the order of layers in a sweep",
    "the phases, the nudge and the update",
)

#: Key of the network in a graph's metadata, as JSON.
KEY = "nudge"


class TorchWeights(NamedTuple):
    """Weights for torch."""

    #: Weights and biases in float32, by the names of `nudge.Network.weights`.
    state_dict: dict[str, Tensor]
    #: Value of one LSB, by the same names: integer = value / scale.
    scale: dict[str, float]


def named(spec: Spec, parameters: Parameters) -> Iterator[tuple[str, Tensor]]:
    """Yield weights and biases with their names in a weight file."""
    for bundle, weight, bias in zip(spec.bundles, parameters.weights, parameters.biases, strict=True):
        yield from zip(names(bundle), (weight, bias), strict=True)


def to_torch(spec: Spec, parameters: Parameters, masters: bool = False) -> TorchWeights:
    """Return the working copies, or the masters, in float32; exact, since both have at most 18 bits."""
    f = spec.formats
    fractions = (f.master_fraction,) * 2 if masters else (f.weight_fraction, f.bias_fraction)
    source = parameters if masters else Parameters(*working(spec, parameters))
    state, scale = {}, {}
    for name, values in named(spec, source):
        scale[name] = 2.0 ** -fractions[name.endswith("bias")]
        state[name] = (values.double() * scale[name]).float()
    return TorchWeights(state, scale)


def library() -> ModuleType:
    """Import the package `nir`; `ToolError` with the pip command if it is missing."""
    try:
        import nir
    except ImportError:
        raise ToolError(f"NIR needs the package nir: {install('nir')}") from None
    return nir


def to_nir(spec: Spec, parameters: Parameters, strict: bool = False) -> "nir.NIRGraph":
    """Return the forward path as a graph, with the masters' values as weights.

    Nodes of layer n: `weight_n`, for a convolution `pool_n`, `decoder_n` (tau in sweeps), `encoder_n`.
    strict: raise `ExchangeError` for the parts that NIR can't represent, which otherwise are in the metadata
    only.
    """
    nir = library()
    if strict:
        raise ExchangeError(
            f"NIR has no node for {'; '.join(UNSAID)}: strict=False leaves them to the graph's metadata"
        )
    state = to_torch(spec, parameters, masters=True).state_dict
    nodes: dict[str, Any] = {"input": nir.Input({"input": np.array(spec.input.shape)})}
    flat = False
    for bundle in spec.bundles:
        n = bundle.index
        shape: tuple[int, ...] = bundle.post.shape
        weight, bias = (state[name].numpy() for name in names(bundle))
        if bundle.full:
            if not flat:
                nodes[f"flatten_{n}"] = nir.Flatten({"input": np.array(bundle.pre.shape)}, start_dim=0)
            flat, shape = True, shape[:1]
            nodes[f"weight_{n}"] = nir.Affine(weight, bias)
        else:
            nodes[f"weight_{n}"] = nir.Conv2d(
                bundle.pre.shape[1:], weight, (1, 1), (bundle.padding,) * 2, (1, 1), 1, bias
            )
            nodes[f"pool_{n}"] = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
        ones = np.ones(shape, np.float32)
        nodes[f"decoder_{n}"] = nir.LI(ones * 2**spec.schedule.last_shift, ones, 0 * ones)
        nodes[f"encoder_{n}"] = nir.IF(ones, ones * _threshold(spec.formats), 0 * ones)
    nodes["output"] = nir.Output({"output": np.array([spec.classes])})
    edges = list(zip(nodes, list(nodes)[1:], strict=False))
    return nir.NIRGraph(nodes, edges, metadata={KEY: json.dumps(network_file.document(spec))})


def _threshold(formats: Formats) -> float:
    return formats.threshold / formats.one


def from_nir(graph: "nir.NIRGraph", name: str = "nir") -> tuple[Spec, Parameters]:
    """Return the network of a graph: a chain of the nodes of `to_nir`, from nudge or another library.

    Schedule and learning are those of the graph's metadata if nudge wrote it, else the defaults of a network
    file. The graph's input has the images' shape, (channels, height, width); without metadata, a vector of
    784 is MNIST's. Each unit of the last layer is a class. Weights are rounded to masters, half up. Raises
    `ExchangeError`, which names the node that nudge can't represent, and the allowed ones.
    """
    nir = library()
    try:
        return _network(graph, name, nir)
    except Exception as error:  # a graph can contain any objects, and reading them can raise anything
        what = (
            ""
            if isinstance(error, ExchangeError)
            else f"this is no graph as nir makes them: {type(error).__name__}: "
        )
        raise ExchangeError(what + " ".join(str(error).split())) from None


def _network(graph: "nir.NIRGraph", name: str, nir: ModuleType) -> tuple[Spec, Parameters]:
    stages: list[dict[str, Any]] = []
    tensors: list[tuple[np.ndarray, np.ndarray]] = []
    decay: set[int] = set()
    chain = list(_chain(graph, nir))
    for key, node in chain:
        if isinstance(node, nir.Conv2d):
            tensors.append(_layer(key, node, 4))
            stages.append(_conv(key, node, tensors[-1][0].shape))
        elif isinstance(node, nir.Affine | nir.Linear):
            tensors.append(_layer(key, node, 2))
            stages.append({"dense": len(tensors[-1][0])})
        elif isinstance(node, nir.AvgPool2d):
            _only(key, "kernel_size", _pair(key, "kernel_size", node.kernel_size), (2, 2))
            _only(key, "stride", _pair(key, "stride", node.stride), (2, 2))
            _only(key, "padding", _pair(key, "padding", node.padding), (0, 0))
        elif isinstance(node, nir.LI):
            decay.add(_decay(key, node))
        elif isinstance(node, nir.IF):
            values = sorted(
                {
                    x
                    for part in ("r", "v_threshold", "v_reset")
                    for x in _values(key, part, getattr(node, part))
                }
            )
            _only(key, "v_reset, v_threshold and r", tuple(values), (0.0, _threshold(Formats()), 1.0))
        elif not isinstance(node, nir.Flatten | nir.Input | nir.Output):
            known = "Conv2d, AvgPool2d, Affine, Linear, Flatten, LI and IF"
            raise ExchangeError(f"node {key!r} is {type(node).__name__}: nudge has {known}")
    for (key, node), (_, after) in pairwise(chain):
        if isinstance(node, nir.Conv2d) != isinstance(after, nir.AvgPool2d):
            raise ExchangeError(
                f"node {key!r} leads to {type(after).__name__}: AvgPool2d follows each Conv2d, and no other"
            )
    if len(decay) > 1:
        raise ExchangeError(f"decoders have tau {sorted(2**k for k in decay)}: nudge has one for all layers")
    key, start = chain[0]
    shape = _values(key, "shape", start.input_type["input"], ordered=True)
    document = _document(graph, name, stages, decay, shape)
    try:
        spec = network_file.network(document, f"NIR graph {name}")
    except SpecError as error:
        raise ExchangeError(str(error)) from None
    if isinstance(spec.stages[0], Conv) or shape != (spec.input.pixels,):
        _only(key, "shape", shape, spec.input.shape)
    return spec, _masters(spec, tensors)


def _chain(graph: "nir.NIRGraph", nir: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the nodes from input to output; `ExchangeError` if the graph is no chain."""
    following: dict[str, list[str]] = {}
    for source, target in graph.edges:
        following.setdefault(source, []).append(target)
    starts = [key for key, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(starts) != 1:
        raise ExchangeError(f"nudge has one input, the graph {len(starts)}")
    at, seen = starts[0], set[str]()
    while True:
        if at in seen:
            raise ExchangeError(
                f"node {at!r} is reached twice: nudge's only loops are its layers' own, backward"
            )
        if at not in graph.nodes:
            raise ExchangeError(f"an edge leads to node {at!r}, which the graph doesn't have")
        seen.add(at)
        yield at, graph.nodes[at]
        targets = following.get(at, [])
        if not targets:
            break
        if len(targets) > 1:
            raise ExchangeError(
                f"node {at!r} leads to {', '.join(sorted(targets))}: nudge's layers are a chain"
            )
        at = targets[0]
    if left := graph.nodes.keys() - seen:
        raise ExchangeError(f"node {min(left)!r} isn't on the way from the input to the output")


def _array(key: str, what: str, value: Any) -> np.ndarray:
    """Return a node's value as an array of any shape; `ExchangeError` unless integers or floats."""
    try:
        found = np.asarray(value)
    except Exception as error:
        raise ExchangeError(f"node {key!r}: {what} is no array: {error}") from None
    if found.dtype.kind not in "iuf":
        raise ExchangeError(f"node {key!r}: {what} must be integers or floats, not {found.dtype}")
    return found


def _values(key: str, what: str, value: Any, ordered: bool = False) -> tuple[float, ...]:
    """Return the array's distinct numbers, ascending; ordered: all of them, in their order."""
    found = np.ravel(_array(key, what, value))
    return tuple((found if ordered else np.unique(found)).tolist())


def _pair(key: str, what: str, value: Any) -> tuple[float, ...]:
    """Return one or two numbers as two: a single one is repeated."""
    found = _values(key, what, value, ordered=True)
    return found * 2 if len(found) == 1 else found


def _layer(key: str, node: Any, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weight, which must have `dimensions`, and bias of a node; a `Linear` has bias 0."""
    weight = _array(key, "weight", node.weight)
    if weight.ndim != dimensions:
        raise ExchangeError(
            f"node {key!r}: weight must have {dimensions} dimensions, not shape {weight.shape}"
        )
    bias = getattr(node, "bias", None)
    return weight, np.zeros(len(weight)) if bias is None else _array(key, "bias", bias)


def _conv(key: str, node: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return a convolution as a stage. shape: of its weight."""
    channels, _, height, width = shape
    if isinstance(node.padding, str):
        _only(key, "padding", node.padding, "valid")
    rows, columns = (0, 0) if isinstance(node.padding, str) else _pair(key, "padding", node.padding)
    _only(key, "padding", (rows, columns), (round(columns),) * 2)
    _only(key, "stride", _pair(key, "stride", node.stride), (1, 1))
    _only(key, "dilation", _pair(key, "dilation", node.dilation), (1, 1))
    _only(key, "groups", _values(key, "groups", node.groups, ordered=True), (1,))
    _only(key, "width of the kernel", width, height)
    return {"conv": channels, "kernel": height} | ({"padding": round(columns)} if columns else {})


def _only(key: str, what: str, value: Any, allowed: Any) -> None:
    if value != allowed:
        raise ExchangeError(f"node {key!r}: {what} must be {allowed}, not {reprlib.repr(value)}")


def _decay(key: str, node: Any) -> int:
    """Return k of a decoder with tau = 2^k sweeps."""
    values = _values(key, "tau", node.tau)
    k = int(np.log2(values[0])) if values and 0 < values[0] < float("inf") else -1
    _only(key, "tau, in sweeps", values, (2.0 ** max(k, 0),))
    _only(key, "r", _values(key, "r", node.r), (1.0,))
    _only(key, "v_leak", _values(key, "v_leak", node.v_leak), (0.0,))
    return k


def _document(
    graph: "nir.NIRGraph", name: str, stages: list[dict[str, Any]], decay: set[int], shape: tuple[float, ...]
) -> dict[str, Any]:
    """Return the network as the contents of a network file: from the metadata, if any, whose stages and decay
    must be those of the nodes. shape: of the graph's input."""
    text = graph.metadata.get(KEY)
    if text is None:
        sides = zip(("channels", "height", "width"), shape, strict=True) if len(shape) == 3 else ()
        images = {side: int(n) if float(n).is_integer() else n for side, n in sides}
        classes = {"classes": stages[-1]["dense"]} if stages and "dense" in stages[-1] else {}
        found = {"name": name, "stage": stages, "input": images | classes}
        return found | ({"schedule": {"decay_shift": min(decay)}} if decay else {})
    try:
        document = json.loads(text)
        said, schedule = document["stage"], document["schedule"]
        # a decoder node has the decay of the last step
        shift = schedule["decay_shift"] + len(schedule.get("halvings", ()))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ExchangeError(
            f"the graph's metadata {KEY!r} is damaged: remove it to go by the nodes alone"
        ) from None
    if said != stages or {shift} != decay:
        raise ExchangeError(
            f"the graph's nodes aren't those of its metadata {KEY!r}: remove it to go by the nodes alone"
        )
    return dict(document)


def _masters(spec: Spec, tensors: list[tuple[np.ndarray, np.ndarray]]) -> Parameters:
    """Round weights and biases to masters; `ExchangeError` for a wrong shape or a value outside [-1, 1)."""
    f = spec.formats
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    for bundle, (weight, bias) in zip(spec.bundles, tensors, strict=True):
        shapes = (bundle.weight_shape, (bundle.post.channels,))
        for values, shape, kept in zip((weight, bias), shapes, (weights, biases), strict=True):
            what = f"layer {bundle.index}: {'weight' if kept is weights else 'bias'}"
            if values.shape != shape:
                raise ExchangeError(f"{what} is {values.shape}, this network needs {shape}")
            exact = np.floor(np.asarray(values, np.float64) * (1 << f.master_fraction) + 0.5)
            if not np.isfinite(exact).all() or exact.min() < f.master_low or exact.max() > f.master_high:
                raise ExchangeError(
                    f"{what} has values {values.min():g} to {values.max():g}: masters are in [-1, 1)"
                )
            kept.append(torch.from_numpy(exact.astype(np.int64)))
    return zeros(spec)._replace(weights=tuple(weights), biases=tuple(biases))
