"""The Amaranth accelerator.

`protocol`, `config` and `layout` are plain data and import no Amaranth: the host reads them too.
"""
