"""Rank of this process among several, from torchrun's environment."""

import os
import re
from dataclasses import dataclass
from typing import Self

from nudge.plumbing.errors import PlanError


@dataclass(frozen=True)
class Ranks:
    """Position of this process among those of a run; without torchrun there is one."""

    rank: int = 0  #: rank of this process, from 0, over all machines
    size: int = 1  #: processes on all machines
    local_rank: int = 0  #: rank of this process on this machine
    local_size: int = 1  #: processes on this machine

    @property
    def first(self) -> bool:
        """Whether this process writes the files and prints."""
        return self.rank == 0

    @classmethod
    def of_environment(cls) -> Self:
        names = "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"
        given = [os.environ[name] for name in names if name in os.environ]
        if len(given) < len(names):
            return cls()
        if not all(re.fullmatch("[0-9]{1,6}", value) for value in given):
            raise PlanError(
                f"{', '.join(names)} must be numbers, as torchrun sets them, not "
                f"{', '.join(map(repr, given))}"
            )
        ranks = cls(*map(int, given))
        if not (ranks.rank < ranks.size and ranks.local_rank < ranks.local_size <= ranks.size):
            raise PlanError(f"{', '.join(names)} must be below each other in turn, not {', '.join(given)}")
        return ranks
