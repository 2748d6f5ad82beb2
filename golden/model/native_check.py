"""Self test of the compiled engine on this machine."""

import functools

import torch

from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import CLASSES, Learning, Spec
from nudge.plumbing.errors import NativeError
from nudge.plumbing.progress import note

from . import chunks, native
from .engines import Plain
from .parameters import initial
from .settings import Settings


@functools.cache
def usable() -> bool:
    """Return whether the compiled engine can be built here and equals torch alone; if not, print why, once.

    A wrongly compiled library would otherwise produce weights that no board has.
    """
    try:
        native.library()
        right = _computes_right()
    except NativeError as error:
        note(f"{error}: taking the slower engine")
        return False
    if not right:
        note("the compiled engine computes wrongly here, please report it: taking the slower engine")
    return right


def _computes_right() -> bool:
    """Return whether two networks learn a batch as in torch.

    Together they have every kind of bundle, and sums of whole blocks of vectors and of the rest.
    """
    deep = (Conv(24, 15), Conv(98, 2), Dense(97), Dense(CLASSES)), (0.5, 0.3, 0.2, 0.16)
    dense = (Dense(97), Dense(CLASSES)), (0.5, 0.2)
    return all(_learns_right(*network) for network in (deep, dense))


def _learns_right(stages: tuple[Conv | Dense, ...], rates: tuple[float, ...]) -> bool:
    """Return whether one network learns a batch as in torch."""
    spec = Spec("known", stages, Schedule(3, 2, 1, order="odd-even", centred=True), Learning(rates, gain=3.0))
    random = torch.Generator().manual_seed(1)
    images = torch.randint(256, (3, *spec.input.shape), generator=random, dtype=torch.uint8, device="cpu")
    case = spec, Settings.of(spec), initial(spec, 1), images, torch.tensor([0, 9, 4], device="cpu")
    ours, theirs = native.run(*case), chunks.run(*case, Plain)
    same = torch.equal(ours.predictions, theirs.predictions) and ours.spikes == theirs.spikes
    found, wanted = ([tensor for group in x.updates for tensor in group] for x in (ours, theirs))
    pairs = zip(found, wanted, strict=True)
    return same and all(torch.equal(a, b) for a, b in pairs)
