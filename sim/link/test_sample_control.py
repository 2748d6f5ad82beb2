# amaranth: UnusedElaboratable=no
"""INFER, TRAIN and COMMIT on a core that the bench plays: order, answers, pixels, pulses, cycles."""

import random

import cocotb

from golden.contract.config import configuration
from golden.contract.presets import preset
from golden.contract.protocol import LABELS, PIXELS, Command, Status
from hw.core.interface import Operation
from hw.link.sample_control import SampleControl
from sim.harness.requester import Requester, watch
from sim.harness.streams import Port, start

UNITS = {"samples": SampleControl(configuration(preset("tiny")))}

OPERATIONS = {Command.INFER: Operation.INFER, Command.TRAIN: Operation.TRAIN, Command.COMMIT: Operation.COMMIT}
PULSES = ("sampled", "trained", "mistaken", "committed")


class PlayedCore:
    """Busy for a random time, in which it reads pixels; the prediction is only right when it isn't busy."""

    def __init__(self, dut, requester):
        self.port, self.requester = Port(dut, "samples"), requester
        self.runs: list[tuple[Operation, int]] = []
        self.cycles = self.prediction = 0
        cocotb.start_soon(self._play())

    async def _play(self):
        port = self.port
        while True:
            await port.edge
            if not port.start.value:
                continue
            operation, label = Operation(int(port.operation.value)), int(port.label.value)
            self.runs.append((operation, label))
            self.cycles, self.prediction = random.choice((1, 2, random.randint(1, 400))), random.randrange(LABELS)
            port.busy.value, asked = 1, None
            for _ in range(self.cycles):
                # what is asked for in a cycle is there in the next one
                address = random.choice((0, PIXELS - 1, random.randrange(PIXELS)))
                port.pixel_address.value, port.prediction.value = address, random.randrange(16)
                await port.edge
                assert not port.start.value, "started while busy"
                assert operation == Operation.COMMIT or port.label.value == label, "the label isn't stable"
                if asked is not None:
                    pixel = self.requester.buffer[4 + asked]
                    assert port.pixel.value == pixel, f"pixel {asked}: got {port.pixel.value}, expected {pixel}"
                asked = address
            port.busy.value, port.prediction.value = 0, self.prediction


@cocotb.test()
async def obeys_the_order_rules(dut):
    await start(dut)
    requester = Requester(dut, "samples", buffered=True)
    core, port = PlayedCore(dut, requester), Port(dut, "samples")
    pulses = {name: watch(dut, f"samples__{name}") for name in PULSES}
    stale, seen = False, set()
    for _ in range(150):
        batch = random.choice((1, 2, 64))
        pending = random.choice((0, batch - 1, batch, random.randint(0, 64)))
        port.batch.value, port.pending.value = batch, pending
        if random.random() < 0.1:
            port.written.value, stale = 1, True
            await port.edge
            port.written.value = 0
        command = random.choice((Command.INFER, Command.TRAIN, Command.TRAIN, Command.COMMIT))
        label = random.choice((*range(LABELS), LABELS, 15, 16, 255))
        sample = command is not Command.COMMIT
        payload = bytes((label,)) + random.randbytes(PIXELS) if sample else b""
        if sample and (stale or (command is Command.TRAIN and pending >= batch)):
            status = Status.BAD_ORDER
        else:
            status = Status.BAD_RANGE if sample and label >= LABELS else Status.OK

        known, before = len(core.runs), {name: len(times) for name, times in pulses.items()}
        got, answer, cycles = await requester.execute(command, payload)
        await port.edge
        where = f"{command.name}, label {label}, {pending} of {batch} pending, stale {stale}"
        assert got == status, f"{where}: {got.name}, expected {status.name}"
        counts = tuple(len(times) - before[name] for name, times in pulses.items())
        if status is Status.OK:
            assert [run[0] for run in core.runs[known:]] == [OPERATIONS[command]], f"{where}: the core ran {core.runs[known:]}"
            assert not sample or core.runs[-1][1] == label, f"{where}: the core was told {core.runs[-1][1]}"
            first = bytes((core.prediction,)) if sample else pending.to_bytes(2, "little")
            assert answer == first + core.cycles.to_bytes(4, "little"), f"{where}: {answer.hex()}, {core.cycles} cycles"
            assert cycles == 2 + core.cycles + 1 + len(answer), f"{where}: {cycles} cycles, {core.cycles} of them the core's"
            mistaken = int(sample and core.prediction != label)
            assert counts == (int(sample), int(command is Command.TRAIN), mistaken, int(not sample)), f"{where}: {counts}"
            stale = stale and sample
        else:
            assert (core.runs[known:], sum(counts)) == ([], 0), f"{where}: something was done"
        seen.add((command, status))
    assert len(seen) == 7, f"only {seen} happened"
