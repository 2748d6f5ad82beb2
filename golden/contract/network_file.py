"""Network files: a network as TOML, and the same as plain data, which weight files contain.

The presets are such files, in `golden/networks`; docs/networks.md explains each key. A missing key has the
value in `DEFAULTS`. Everything is checked before use, since a weight file may come from anywhere.
"""

import re
import reprlib
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from nudge.plumbing import files
from nudge.plumbing.errors import SpecError

from .config import SLOTS
from .formats import Formats
from .lanes import Lanes
from .registers import rate_register
from .schedule import FLAGS, MAX_DECAY_SHIFT, ORDERS, Schedule
from .shapes import Conv, Dense, Input, check_whole
from .spec import Learning, Spec

T = TypeVar("T")

#: Largest size of a network file in bytes.
MAX_BYTES = 1 << 16

#: Pattern of network names: a board's HELLO answer has the first eight characters, and folders are named
#: after it.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")

#: Largest number of stages; of channels or units; largest kernel side. Far beyond what any part holds, yet
#: few enough to check at once.
MAX_STAGES, MAX_SIZE, MAX_KERNEL = 16, 1 << 14, 64

#: Largest number of weights and biases, twice the largest preset's: the model takes 40 bytes for each, a test
#: bench 400.
MAX_PARAMETERS = 1 << 23

#: Largest `Learning.initial_means`: the sums of so many images, of any size, fit 63 bits.
MAX_MEASURED = 1 << 16

#: Allowed values of the formats: those measured (`nudge repro precision`), for which the proofs of the widths
#: hold.
FORMATS = {"weight_bits": (2, 8), "decoder_bits": (13, 16), "state_fraction": (4, 8)}

#: Values of missing keys; missing rates come from `default_rates`.
DEFAULTS: dict[str, dict[str, Any]] = {
    "schedule": {"order": "odd-even", "free": 16, "nudged": 8, "window": 4, "decay_shift": 1}
    | {"halvings": (), "feedback_shift": 0, "fine": (), **dict.fromkeys(FLAGS, False)},
    "learning": {name: getattr(Learning, name) for name in ("beta", "batch", "gain", "decay")},
    "formats": {name: getattr(Formats, name) for name in FORMATS},
    "input": asdict(Input()),
}

#: Further keys of the table `learning`, which a document has where they differ from `Learning`'s defaults.
OPTIONAL = ("bias_rates", "initial_means", "image_gain")

#: Tables that a document always contains.
SECTIONS = ("schedule", "learning", "formats")


def default_rates(stages: int) -> tuple[float, ...]:
    """Return default learning rates, one per stage.

    The first stage has 0.5, those between 0.3, the last two 0.2 and 0.16. Three stages: (0.5, 0.2, 0.16);
    two: (0.5, 0.16); one: (0.16,).
    """
    return (
        ((0.5,) + (0.3,) * max(stages - 3, 0) + (0.2, 0.16)[-(stages - 1) :])[:stages]
        if stages > 1
        else (0.16,)
    )


def read(path: Path) -> Spec:
    """Return the network of a file.

    `SpecError` names the file, then line or key, the value, and the allowed values.
    """
    text = files.read_text(path, MAX_BYTES, lambda why: SpecError(f"--network {why}"))
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number with too many digits isn't a TOMLDecodeError
        raise SpecError(f"{path} is no TOML: {error or 'nested too deeply'}") from None
    return network(values, str(path))


def network(values: Any, where: str) -> Spec:
    """Return the network that plain data describes, as `document` and `tomllib` return it.

    where: prefix of the errors.
    """
    try:
        return _network(values)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None


def document(spec: Spec) -> dict[str, Any]:
    """Return a network as plain data, from which `network` makes it again.

    Optional keys are left out at their defaults: MNIST's `input`, no lanes, halvings, feedback_shift, fine,
    or flags. Raises `SpecError` for formats that a network file can't express.
    """
    f, s, learning = spec.formats, spec.schedule, spec.learning
    formats = {name: getattr(f, name) for name in FORMATS}
    if Formats.of(**formats) != f:
        raise SpecError(f"{spec.name}: its formats are none that a network file can name")
    rates: dict[str, Any] = {"rates": list(learning.rates)}
    for name in OPTIONAL:
        if (value := getattr(learning, name)) != getattr(Learning, name):
            rates[name] = list(value) if isinstance(value, tuple) else value
    lanes = {
        name: {key: list(x) if isinstance(x, tuple) else x for key, x in asdict(of).items() if x is not None}
        for name, of in spec.lanes
    }
    stages = [
        {"conv": x.channels, "kernel": x.kernel} | ({"padding": x.padding} if x.padding else {})
        if isinstance(x, Conv)
        else {"dense": x.units}
        for x in spec.stages
    ]
    timing = {name: getattr(s, name) for name in ("order", "free", "nudged", "window", "decay_shift")}
    learned = rates | {name: getattr(learning, name) for name in DEFAULTS["learning"]}
    found = {"name": spec.name, "stage": stages, "schedule": timing | s.options, "learning": learned}
    shown = {"lanes": lanes, "input": asdict(spec.input) if spec.input != Input() else {}}
    return found | {"formats": formats} | {name: x for name, x in shown.items() if x}


def _network(values: Any) -> Spec:
    top = _table(
        "the file", values, ("name", "input", "stage", *SECTIONS, "lanes"), required=("name", "stage")
    )
    name = top["name"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpecError(
            f"name must be 1..31 of a-z, 0-9, _ and -, a letter or digit first, not {reprlib.repr(name)}"
        )
    if not isinstance(top["stage"], list) or not 1 <= len(top["stage"]) <= MAX_STAGES:
        raise SpecError(f"there must be 1..{MAX_STAGES} tables [[stage]], not {reprlib.repr(top['stage'])}")
    stages = tuple(_stage(n, stage) for n, stage in enumerate(top["stage"], start=1))
    lanes = _table("lanes", top.get("lanes", {}), None)
    spec = Spec(
        name,
        stages,
        _schedule(_with_defaults("schedule", top)),
        _learning(_with_defaults("learning", top, ("rates", *OPTIONAL)), len(stages)),
        _formats(_with_defaults("formats", top)),
        tuple((key, _lanes(f"lanes.{key}", value)) for key, value in lanes.items()),
        Input(**_with_defaults("input", top)),
    )
    if spec.parameters > MAX_PARAMETERS:
        raise SpecError(f"there may be {MAX_PARAMETERS:,} weights and biases, not {spec.parameters:,}")
    learning = spec.learning
    spec.formats.beta_register(learning.beta)
    for bundle, *rates in zip(
        spec.bundles, learning.rates, learning.bias_rates or learning.rates, strict=True
    ):
        for rate in rates:
            rate_register(spec, bundle, lr=rate, beta=learning.beta, batch=learning.batch)
    return spec


def _table(what: str, value: Any, keys: Iterable[str] | None, required: Iterable[str] = ()) -> dict[str, Any]:
    """Return the value if it is a table with no keys but `keys` (None: any) and all the required ones."""
    if not isinstance(value, dict):
        raise SpecError(f"{what} must be a table, not {reprlib.repr(value)}")
    for key in value if keys is not None else ():
        if key not in keys:  # type: ignore[operator]
            raise SpecError(f"{what} has no key {reprlib.repr(key)}: it may have {', '.join(keys)}")  # type: ignore[arg-type]
    for key in required:
        if key not in value:
            raise SpecError(f"{what} must have the key {key!r}")
    return value


def _with_defaults(name: str, top: dict[str, Any], others: tuple[str, ...] = ()) -> dict[str, Any]:
    return DEFAULTS[name] | _table(name, top.get(name, {}), (*DEFAULTS[name], *others))


def _stage(number: int, value: Any) -> Conv | Dense:
    stage = _table(f"stage {number}", value, ("conv", "kernel", "padding", "dense"))
    if ("conv" in stage) == ("dense" in stage):
        raise SpecError(
            f"stage {number} must have either 'conv', a number of channels, or 'dense', a number of units"
        )
    if "dense" in stage:
        for key in ("kernel", "padding"):
            if key in stage:
                raise SpecError(f"stage {number}: only a conv has a {key}")
        check_whole(f"stage {number}: dense", stage["dense"], 1, MAX_SIZE)
        return Dense(stage["dense"])
    kernel = stage.get("kernel", Conv.kernel)
    check_whole(f"stage {number}: conv", stage["conv"], 1, MAX_SIZE)
    check_whole(f"stage {number}: kernel", kernel, 1, MAX_KERNEL)
    try:
        return Conv(stage["conv"], kernel, stage.get("padding", Conv.padding))
    except SpecError as error:
        raise SpecError(f"stage {number}: {error}") from None


def _schedule(values: dict[str, Any]) -> Schedule:
    window = values["window"]
    allowed = [1 << n for n in range(8)]
    if type(window) is not int or window not in allowed:
        raise SpecError(
            f"schedule.window must be one of {', '.join(map(str, allowed))}, not {reprlib.repr(window)}"
        )
    if values["order"] not in ORDERS:
        raise SpecError(f"schedule.order must be {' or '.join(ORDERS)}, not {reprlib.repr(values['order'])}")
    for name, most, what in (("halvings", MAX_DECAY_SHIFT, "steps"), ("fine", MAX_STAGES, "binary points")):
        x = values[name]
        if not isinstance(x, list | tuple) or len(x) > most:
            raise SpecError(f"schedule.{name} must be a list of at most {most} {what}, not {reprlib.repr(x)}")
    for name in FLAGS:
        if type(values[name]) is not bool:
            raise SpecError(f"schedule.{name} must be true or false, not {reprlib.repr(values[name])}")
    given = {
        name: values[name] for name in ("free", "nudged", "decay_shift", "order", "feedback_shift", *FLAGS)
    }
    given |= {name: tuple(values[name]) for name in ("halvings", "fine")}
    return _inside("schedule", lambda: Schedule(window_log2=window.bit_length() - 1, **given))


def _learning(values: dict[str, Any], stages: int) -> Learning:
    rates = _rates("rates", values["rates"], stages) if "rates" in values else default_rates(stages)
    biases = _rates("bias_rates", values["bias_rates"], stages) if "bias_rates" in values else None
    check_whole("learning.batch", values["batch"], 1, Formats().max_batch)
    values = {name: getattr(Learning, name) for name in OPTIONAL} | values
    check_whole("learning.initial_means", values["initial_means"], 0, MAX_MEASURED)
    for name, high in (("beta", 2.0), ("gain", 100.0), ("decay", 1.0), ("image_gain", 100.0)):
        value = values[name]
        if not _is_number(value) or not 0 < value <= high:
            raise SpecError(
                f"learning.{name} must be above 0 and at most {high:g}, not {reprlib.repr(value)}"
            )
    numbers = (float(values["beta"]), values["batch"], float(values["gain"]), float(values["decay"]))
    return Learning(rates, biases, *numbers, values["initial_means"], float(values["image_gain"]))


def _rates(name: str, values: Any, stages: int) -> tuple[float, ...]:
    if (
        not isinstance(values, list)
        or len(values) != stages
        or not all(_is_number(x) and 0 <= x <= 1000 for x in values)
    ):
        raise SpecError(
            f"learning.{name} must be {stages} numbers from 0 to 1000, one a stage, not "
            f"{reprlib.repr(values)}"
        )
    return tuple(map(float, values))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value == value


def _formats(values: dict[str, Any]) -> Formats:
    for name, (low, high) in FORMATS.items():
        check_whole(f"formats.{name}", values[name], low, high)
    return _inside("formats", lambda: Formats.of(**values))


def _lanes(what: str, value: Any) -> Lanes:
    keys = tuple(Lanes.__dataclass_fields__)
    table = _table(what, value, keys, required=("lanes",))
    made: dict[str, Any] = {}
    for key, x in table.items():
        if key in ("lanes", "arrays", "shared", "passes", "scatters", "folded"):
            if not isinstance(x, list) or len(x) > MAX_STAGES + 1:
                raise SpecError(
                    f"{what}.{key} must be a list of at most {MAX_STAGES + 1} numbers, not {reprlib.repr(x)}"
                )
            for each in x:
                check_whole(f"{what}.{key}", each, 1, MAX_SIZE)
            if key == "passes" and len(x) != 2:
                raise SpecError(
                    f"{what}.passes must be two numbers, forward and backward, not {reprlib.repr(x)}"
                )
            made[key] = tuple(x)
        elif key == "kernel_blocks":
            if type(x) is not bool:
                raise SpecError(f"{what}.{key} must be true or false, not {reprlib.repr(x)}")
            made[key] = x
        else:
            check_whole(f"{what}.{key}", x, 1, SLOTS if key == "slots" else 1_000_000_000)
            made[key] = x
    return Lanes(**made)


def _inside(what: str, make: Callable[[], T]) -> T:
    """Return `make()`; the table's name is put before the message of its `SpecError`."""
    try:
        return make()
    except SpecError as error:
        message = str(error)
        raise SpecError(message if message.startswith(what) else f"{what}.{message}") from None
