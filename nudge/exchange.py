"""Weights and networks for other libraries: torch, and the Neuromorphic Intermediate Representation (NIR).

What NIR says of a network is its forward path: per layer its weights (`Conv2d` with `AvgPool2d`, or `Affine`), a decoder
(`LI`) and a spike encoder (`IF`), with time in sweeps. It has no node for the rest, `UNSAID`, so another simulator runs an
approximation of the free phase; the whole network stands in the graph's metadata, and `from_nir` gives it back.
"""

import json
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from golden.contract import network_file
from golden.contract.errors import ExchangeError, SpecError, ToolError
from golden.contract.formats import Formats
from golden.contract.spec import CLASSES, IMAGE_SIDE, Spec
from golden.model.parameters import Parameters, working, zeros
from golden.training.checkpoint import names

if TYPE_CHECKING:
    import nir

#: What NIR has no node for.
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

    #: float32, by the names of `nudge.Network.weights`.
    state_dict: dict[str, Tensor]
    #: By the same names: integer = value / scale.
    scale: dict[str, float]


def named(spec: Spec, parameters: Parameters) -> Iterator[tuple[str, Tensor]]:
    """Weights and biases with their names in a weight file."""
    for bundle, weight, bias in zip(spec.bundles, parameters.weights, parameters.biases, strict=True):
        yield from zip(names(bundle), (weight, bias), strict=True)


def to_torch(spec: Spec, parameters: Parameters, masters: bool = False) -> TorchWeights:
    """The working copies, or the masters, as float32; exact, for both have at most 18 bits."""
    f = spec.formats
    fractions = (f.master_fraction,) * 2 if masters else (f.weight_fraction, f.bias_fraction)
    source = parameters if masters else Parameters(*working(spec, parameters))
    state, scale = {}, {}
    for name, values in named(spec, source):
        scale[name] = 2.0 ** -fractions[name.endswith("bias")]
        state[name] = (values.double() * scale[name]).float()
    return TorchWeights(state, scale)


def library() -> ModuleType:
    """The package `nir`; `ToolError` says how to get it."""
    try:
        import nir
    except ImportError:
        raise ToolError("NIR needs the package nir: pip install 'nudge[nir]'") from None
    return nir


def to_nir(spec: Spec, parameters: Parameters, strict: bool = False) -> "nir.NIRGraph":
    """The forward path as a graph, its weights the masters' values.

    Nodes of layer n: `weight_n`, for a convolution `pool_n`, `decoder_n` (tau in sweeps), `encoder_n`. strict: raise
    `ExchangeError` for what NIR can't say instead of leaving it to the metadata.
    """
    nir = library()
    if not spec.begins_as_mnist:
        raise ExchangeError(
            f"{spec.name}: to_nir takes networks that begin with a convolution of 28x28 grey images in 10 classes"
        )
    if strict:
        raise ExchangeError(f"NIR has no node for {'; '.join(UNSAID)}: strict=False leaves them to the graph's metadata")
    state = to_torch(spec, parameters, masters=True).state_dict
    nodes: dict[str, Any] = {"input": nir.Input({"input": np.array([1, IMAGE_SIDE, IMAGE_SIDE])})}
    flat = False
    for bundle in spec.bundles:
        n = bundle.index
        shape: tuple[int, ...] = bundle.post.shape
        weight, bias = (state[name].numpy() for name in names(bundle))
        if bundle.kind == "dense":
            if not flat:
                nodes[f"flatten_{n}"] = nir.Flatten({"input": np.array(bundle.pre.shape)}, start_dim=0)
            flat, shape = True, shape[:1]
            nodes[f"weight_{n}"] = nir.Affine(weight, bias)
        else:
            nodes[f"weight_{n}"] = nir.Conv2d(bundle.pre.shape[1:], weight, (1, 1), (0, 0), (1, 1), 1, bias)
            nodes[f"pool_{n}"] = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
        ones = np.ones(shape, np.float32)
        nodes[f"decoder_{n}"] = nir.LI(ones * 2**spec.schedule.last_shift, ones, 0 * ones)
        nodes[f"encoder_{n}"] = nir.IF(ones, ones * _threshold(spec.formats), 0 * ones)
    nodes["output"] = nir.Output({"output": np.array([CLASSES])})
    edges = list(zip(nodes, list(nodes)[1:], strict=False))
    return nir.NIRGraph(nodes, edges, metadata={KEY: json.dumps(network_file.document(spec))})


def _threshold(formats: Formats) -> float:
    return formats.threshold / formats.one


def from_nir(graph: "nir.NIRGraph", name: str = "nir") -> tuple[Spec, Parameters]:
    """The network of a graph: a chain of what `to_nir` writes, from nudge or another library.

    Schedule and learning are those of its metadata if nudge wrote it, else what a network file leaves out; weights are rounded
    to masters, half up. `ExchangeError` names the node that nudge can't have, and what it could.
    """
    nir = library()
    stages: list[dict[str, Any]] = []
    tensors: list[tuple[np.ndarray, np.ndarray]] = []
    decay: set[int] = set()
    for key, node in _chain(graph, nir):
        if isinstance(node, nir.Conv2d):
            stages.append(_conv(key, node))
            tensors.append((node.weight, node.bias))
        elif isinstance(node, nir.Affine | nir.Linear):
            stages.append({"dense": int(node.weight.shape[0])})
            tensors.append((node.weight, getattr(node, "bias", np.zeros(len(node.weight)))))
        elif isinstance(node, nir.AvgPool2d):
            _only(key, "kernel_size and stride", (*_pair(node.kernel_size), *_pair(node.stride)), (2, 2, 2, 2))
            _only(key, "padding", _pair(node.padding), (0, 0))
        elif isinstance(node, nir.LI):
            decay.add(_decay(key, node))
        elif isinstance(node, nir.IF):
            values = tuple(sorted({float(x) for part in (node.r, node.v_threshold, node.v_reset) for x in np.ravel(part)}))
            _only(key, "v_reset, v_threshold and r", values, (0.0, _threshold(Formats()), 1.0))
        elif not isinstance(node, nir.Flatten | nir.Input | nir.Output):
            known = "Conv2d, AvgPool2d, Affine, Linear, Flatten, LI and IF"
            raise ExchangeError(f"node {key!r} is {type(node).__name__}: nudge has {known}")
    if len(decay) > 1:
        raise ExchangeError(f"decoders have tau {sorted(2**k for k in decay)}: nudge has one for all layers")
    document = _document(graph, name, stages, decay)
    try:
        spec = network_file.network(document, f"NIR graph {name}")
    except SpecError as error:
        raise ExchangeError(str(error)) from None
    return spec, _masters(spec, tensors)


def _chain(graph: "nir.NIRGraph", nir: ModuleType) -> Iterator[tuple[str, Any]]:
    """Nodes from input to output; `ExchangeError` where the graph is no chain."""
    following: dict[str, list[str]] = {}
    for source, target in graph.edges:
        following.setdefault(source, []).append(target)
    starts = [key for key, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(starts) != 1:
        raise ExchangeError(f"nudge has one input, the graph {len(starts)}")
    at, seen = starts[0], []
    while True:
        if at in seen:
            raise ExchangeError(f"node {at!r} is reached twice: nudge's only loops are its layers' own, backward")
        seen.append(at)
        yield at, graph.nodes[at]
        targets = following.get(at, [])
        if not targets:
            break
        if len(targets) > 1:
            raise ExchangeError(f"node {at!r} leads to {', '.join(sorted(targets))}: nudge's layers are a chain")
        at = targets[0]
    if left := graph.nodes.keys() - set(seen):
        raise ExchangeError(f"node {min(left)!r} isn't on the way from the input to the output")


def _conv(key: str, node: Any) -> dict[str, Any]:
    """A convolution as a stage."""
    channels, _, height, width = node.weight.shape
    padding = (0, 0) if isinstance(node.padding, str) and node.padding == "valid" else node.padding
    _only(key, "padding", padding if isinstance(padding, str) else _pair(padding), (0, 0))
    _only(key, "stride", _pair(node.stride), (1, 1))
    _only(key, "dilation", _pair(node.dilation), (1, 1))
    _only(key, "groups", int(node.groups), 1)
    _only(key, "width of the kernel", int(width), int(height))
    return {"conv": int(channels), "kernel": int(height)}


def _pair(value: Any) -> tuple[int, ...]:
    return tuple(int(x) for x in np.broadcast_to(np.asarray(value), 2))


def _only(key: str, what: str, value: Any, allowed: Any) -> None:
    if value != allowed:
        raise ExchangeError(f"node {key!r}: {what} must be {allowed}, not {value}")


def _decay(key: str, node: Any) -> int:
    """k of a decoder with tau = 2^k sweeps."""
    values = tuple(sorted({float(x) for x in np.ravel(node.tau)}))
    k = int(np.log2(values[0])) if values[0] > 0 else -1
    _only(key, "tau, in sweeps", values, (2.0 ** max(k, 0),))
    _only(key, "r", tuple(sorted({float(x) for x in np.ravel(node.r)})), (1.0,))
    _only(key, "v_leak", tuple(sorted({float(x) for x in np.ravel(node.v_leak)})), (0.0,))
    return k


def _document(graph: "nir.NIRGraph", name: str, stages: list[dict[str, Any]], decay: set[int]) -> dict[str, Any]:
    """The network as a network file has it: of the metadata, if its stages are those of the nodes."""
    text = graph.metadata.get(KEY)
    if text is None:
        return {"name": name, "stage": stages} | ({"schedule": {"decay_shift": min(decay)}} if decay else {})
    try:
        document = json.loads(text)
        said, schedule = document["stage"], document["schedule"]
        # a decoder node is as the last step has it
        shift = schedule["decay_shift"] + len(schedule.get("halvings", ()))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ExchangeError(f"the graph's metadata {KEY!r} is damaged: remove it to go by the nodes alone") from None
    if said != stages or {shift} != decay:
        raise ExchangeError(f"the graph's nodes aren't those of its metadata {KEY!r}: remove it to go by the nodes alone")
    return dict(document)


def _masters(spec: Spec, tensors: list[tuple[np.ndarray, np.ndarray]]) -> Parameters:
    """Weights and biases rounded to masters; `ExchangeError` for a wrong shape or a value beyond [-1, 1)."""
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
                raise ExchangeError(f"{what} has values {values.min():g} to {values.max():g}: masters are in [-1, 1)")
            kept.append(torch.from_numpy(exact.astype(np.int64)))
    return zeros(spec)._replace(weights=tuple(weights), biases=tuple(biases))
