"""Studies that one command makes again: `nudge repro NAME`. A module each; `study` is what they share."""

from . import fashion, gradient, pooling, precision
from .study import Study

STUDIES: dict[str, Study] = {study.name: study for study in (precision.STUDY, fashion.STUDY, pooling.STUDY, gradient.STUDY)}
