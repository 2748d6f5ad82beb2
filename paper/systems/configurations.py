"""The systems of Table II, as published or tuned. `own` and `cited` describe their variants."""

from .cited import cited_systems
from .configuration import Configuration
from .own import own_systems


def table_two(data: str, narrow: int = 1, widths: tuple[int, int, int] | None = None) -> list[Configuration]:
    """Return all configurations of Table II for a data set.

    narrow: divisor of the widths, for small machines; narrow / 4 for the cited works' smaller networks.
    """
    cited = cited_systems(max(narrow // 4, 1)) if data == "mnist" else []
    return cited + own_systems(data, widths or (128 // narrow, 256 // narrow, 512 // narrow))
