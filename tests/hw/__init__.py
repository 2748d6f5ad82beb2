"""The link in pysim; the rest of hw/ is tested in sim/."""
