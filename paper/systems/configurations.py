"""What Table II has: each system by name, as published or tuned. `own` and `cited` say what the variants are."""

from .cited import cited_systems
from .configuration import Configuration
from .own import own_systems


def table_two(data: str, narrow: int = 1, widths: tuple[int, int, int] | None = None) -> list[Configuration]:
    """All configurations that Table II has for a data set. narrow: divide widths by it, for small machines; those of the
    cited works, which are smaller, by a quarter of it."""
    cited = cited_systems(max(narrow // 4, 1)) if data == "mnist" else []
    return cited + own_systems(data, widths or (128 // narrow, 256 // narrow, 512 // narrow))
