"""Integer enumerations with a text for each member."""

import enum
from typing import Self


class Described(enum.IntEnum):
    """Integer enumeration whose members are written ``NAME = number, "what it means"``."""

    #: Meaning of the member.
    what: str

    def __new__(cls, value: int, what: str) -> Self:
        member = int.__new__(cls, value)
        member._value_, member.what = value, what
        return member
