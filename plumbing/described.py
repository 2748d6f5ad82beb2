"""Numbers with words."""

import enum
from typing import Self


class Described(enum.IntEnum):
    """Its members are written ``NAME = number, "what it means"``."""

    #: What it means.
    what: str

    def __new__(cls, value: int, what: str) -> Self:
        member = int.__new__(cls, value)
        member._value_, member.what = value, what
        return member
