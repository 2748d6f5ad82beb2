"""The area of each board's part can be estimated, and the power of each ECP5."""

import pytest

from nudge.boards.catalog import BOARDS
from nudge.boards.estimate.part import PARTS
from nudge.boards.estimate.power import SUPPLY
from nudge.boards.family import Family


@pytest.mark.parametrize("name", BOARDS)
def test_the_tables_of_parts_have_every_board(name):
    fpga = BOARDS[name]
    part = fpga.platform().device
    assert part in PARTS, f"{name}: boards.estimate.part.PARTS has no {part}"
    # the power estimate covers the ECP5 alone
    assert fpga.family is not Family.ECP5 or part in SUPPLY, (
        f"{name}: boards.estimate.power.SUPPLY has no {part}"
    )
