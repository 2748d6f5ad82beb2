"""The two spike buffers of an engine that reads the last half's spikes: of the layer below, and of the one above."""

from .interface import banks_of
from .spike_buffer import SpikeBuffer


def spike_buffers(m, engine) -> tuple[SpikeBuffer, SpikeBuffer]:
    """They are wired to an engine with `SynapseSignature`, and become its submodules by its own hand."""
    config, bundle = engine.config, engine.bundle
    pre, post = (
        SpikeBuffer(
            words=config.words(layer),
            lanes=config.lanes[layer.index],
            banks=banks_of(layer.index, config),
            bits=config.spec.spike_bits,
        )
        for layer in (bundle.pre, bundle.post)
    )
    for buffer, flow in ((pre, engine.pre_spikes), (post, engine.post_spikes)):
        m.d.comb += [buffer.i.valid.eq(flow.valid), buffer.i.payload.eq(flow.payload)]
    # what the layer below fires drives the one above, and the reverse
    m.d.comb += [pre.source.eq(engine.pre_step), pre.target.eq(engine.post_step)]
    m.d.comb += [post.source.eq(engine.post_step), post.target.eq(engine.pre_step)]
    return pre, post
