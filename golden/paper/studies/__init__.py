"""Studies that one command makes again: `nudge repro NAME`. A module each; `study` is what they share."""

from . import fashion, gradient, memory, pooling, precision, shape, table2
from .study import Study

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY for module in (precision, fashion, shape, table2, gradient, pooling, memory)
}
