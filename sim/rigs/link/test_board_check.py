"""`nudge board check` on the golden model as a board: it holds, and each injected fault fails its line."""

from collections.abc import Mapping
from dataclasses import replace

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import PHASES, Command, Committed, Sampled, SampledStored, Status
from nudge.golden.contract.stored import LOG_AT
from nudge.golden.training import data as datasets
from nudge.host.training.board_check import SHORT, Subject, phases, run_checks
from nudge.host.training.record import FAILED, HELD, NOT_APPLICABLE, NOT_RUN
from nudge.plumbing.errors import LinkError
from sim.rigs.modelled.faults import RandomFaults
from sim.rigs.modelled.modelled import Modelled

from .struck import Fault, Struck

SPEC = preset("tiny")
CONFIG = configuration(SPEC)
CAPACITY = 1 << 20
CLOCK_HZ = 48_000_000
#: Cycles of a sample and of a commit on the modelled board.
CYCLES = {Command.TRAIN: ("free", 30_000), Command.INFER: ("free", 10_000), Command.COMMIT: ("commit", 500)}
#: Less of everything than on a virtual board.
EXTENT = replace(SHORT, link_bytes=1, patterns=8, samples=8)


class Clocked(Modelled):
    """A modelled board with a clock, which counts cycles. speed: its real clock / the stated one."""

    def __init__(self, speed: float = 1.0, build: int = 7, stuck: int | None = None, **options):
        self.hz, self.build, self.stuck, self.taken = CLOCK_HZ * speed, build, stuck, 0.0
        super().__init__(CONFIG, **{"capacity": CAPACITY} | options)
        self.port.seconds = self.seconds

    def _power_up(self) -> None:
        super()._power_up()
        self.device.protocol.identity = replace(self.device.protocol.identity, clock_hz=CLOCK_HZ)
        self.device.zeros |= {"build": self.build, "build_seed": 1, "build_yosys": 1}

    def seconds(self) -> float:
        taken, self.taken = self.taken, 0.0
        return taken

    def execute(self, command: Command, payload: bytes) -> tuple[Status, bytes]:
        status, answer = super().execute(command, payload)
        if status is not Status.OK:
            return status, answer
        if command is Command.STORE and self.stuck is not None:
            words = self.device.store.words
            for at in range(2 * LOG_AT, 2 * self.device.store.end, 2):
                words[at] |= 1 << self.stuck
        match command:
            case Command.TRAIN | Command.INFER:
                answer = Sampled(Sampled.decode(answer).prediction, self.spend(command)).encode()
            case Command.COMMIT:
                answer = Committed(Committed.decode(answer).samples, self.spend(command)).encode()
            case Command.TRAIN_STORED:
                predictions = SampledStored.decode(answer).predictions
                cycles = sum(self.spend(Command.TRAIN) for _ in predictions) + self.spend(Command.COMMIT)
                answer = SampledStored(predictions, cycles).encode()
        return status, answer

    def spend(self, command: Command) -> int:
        phase, cycles = CYCLES[command]
        self.device.zeros[f"cycles_{phase}"] += cycles
        self.taken += cycles / self.hz
        return cycles


def reference() -> dict[str, int]:
    return phases(Clocked().open(), datasets.load("embedded"), seed=0)


def checked(
    modelled: Clocked, board=None, built: Mapping | None = None, **options
) -> dict[str, tuple[str, str]]:
    """Check a modelled board as if it were hardware; return outcome and finding of each line."""
    board = modelled.open() if board is None else board
    built = {"build": 7, "seed": 1} if built is None else built
    options = {"simulate": reference, "memory": True} | options
    data = datasets.load("embedded")
    subject = Subject(
        board, CONFIG, data, simulated=False, line_rate=1e6, built=built, extent=EXTENT, **options
    )
    return {line.name: (line.outcome, line.says) for line in run_checks(subject)}


def failing(lines: dict[str, tuple[str, str]]) -> set[str]:
    assert {outcome for outcome, _ in lines.values()} <= {HELD, FAILED, NOT_APPLICABLE, NOT_RUN}
    return {name for name, (outcome, _) in lines.items() if outcome in (FAILED, NOT_RUN)}


def test_a_good_board_holds_in_every_line():
    assert {outcome for outcome, _ in checked(Clocked()).values()} == {HELD}


def test_a_flipped_weight_bit_fails_the_comparison():
    modelled = Clocked()
    lines = checked(modelled, board=Struck(modelled.open(), Fault(1, 0, 15), 0))
    assert failing(lines) == {"compare batches"}
    assert "conv" in lines["compare batches"][1] or "weight" in lines["compare batches"][1]


def test_a_stuck_data_line_fails_the_memory():
    lines = checked(Clocked(stuck=3))
    assert "memory" in failing(lines)
    assert "doesn't keep samples" in lines["memory"][1]


def test_a_memory_that_failed_its_self_test_fails_the_memory():
    lines = checked(Clocked(capacity=0))
    assert failing(lines) == {"memory"}
    assert "self test failed" in lines["memory"][1]
    assert lines["compare stored"][0] == NOT_APPLICABLE


def test_a_slow_clock_fails_the_rate():
    lines = checked(Clocked(speed=0.5))
    assert failing(lines) == {"rate"}
    assert "core and line allow" in lines["rate"][1]


def test_a_line_that_loses_bytes_fails_link_and_errors():
    lines = checked(Clocked(up=RandomFaults(3e-4, 1)))
    assert {"link", "errors"} <= failing(lines) <= {"link", "errors", "rate"}
    assert "bad_" in lines["errors"][1]
    assert "host_resent" in lines["errors"][1]


def test_another_build_fails_the_identity():
    lines = checked(Clocked(build=8))
    assert failing(lines) == {"identity"}
    assert "build 00000008" in lines["identity"][1]


def test_other_cycles_name_the_phase_and_both_figures():
    wrong = reference()
    name = f"training {PHASES[1]}"
    wrong[name] += 1
    lines = checked(Clocked(), simulate=lambda: wrong)
    assert failing(lines) == {"cycles"}
    assert lines["cycles"][1] == f"{name}: {wrong[name] - 1} cycles, simulated {wrong[name]}"


def test_a_lost_connection_leaves_the_rest_not_run():
    modelled = Clocked()

    def cut() -> dict[str, int]:
        modelled.port.cut()
        raise LinkError("connection lost")

    lines = checked(modelled, simulate=cut)
    assert [lines[name][0] for name in ("cycles", "rate", "errors")] == [FAILED, NOT_RUN, NOT_RUN]
