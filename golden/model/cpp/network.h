// C++ side of the structures in golden/model/native.py; order and types must agree.
#pragma once

#include <cstdint>
#include "lanes.h"

namespace {

enum Kind { IMAGE, CONV, DENSE, PIXELS };

struct Layer {
    int32_t channels, height, width;
    int positions() const { return height * width; }
    int neurons() const { return channels * positions(); }
};

struct Bundle {
    int32_t kind, kernel, padding, weight_shift, weight_rate, bias_rate;
    bool full() const { return kind == DENSE || kind == PIXELS; }
    int taps() const { return kernel * kernel; }
};

// Left shifts of a layer's two drives before they are added, and of their sum to d's LSB.
struct Shifts {
    int32_t below, above, rest;
};

struct Network {
    int32_t bundles, classes, averaging_window, decay_shift, halvings, turns, free_steps, nudged_steps, beta;
    int32_t fine, linear_output; // whether nudged phases have fine spikes, and whether the output's aren't clipped
    int32_t vector_field;        // whether g lacks the term with pre's difference
    int32_t round_shift, nudge_shift, static_shift, bias_shift, one_bits, threshold;
    int32_t decoder_low, decoder_high, update_bound;
    int32_t weight_round, weight_high, bias_round, bias_high; // from masters to working copies
    int32_t halving[16];                                      // steps of the free phase; the first `halvings` are used
    int32_t point[16];                                        // binary point of the fine spikes of layers 0..N
    Shifts shifts[2][16]; // for layers 0..N; [0]: plain spikes, [1]: nudged phases with fine spikes
    Layer layers[16];
    Bundle bundle[16];
};

// A layer in memory: blocks of positions, each with all its channels, padded to whole vectors. Below a
// convolution, whose kernels see pooled positions in steps of 2, a block has 2x2 positions, and the layer a
// frame of zeros if the convolution has padding; elsewhere a block is the whole layer. Neurons of the frame,
// of an odd layer's last blocks and of the last vector have neither bias nor drive (`Sample::drive`), so they
// never spike.
struct Map {
    int height, width, channels, side, frame; // side of a block: 2, or 0 for the whole layer
    int rows, columns, inside, block;         // inside: positions of a block; block: its neurons

    Map(const Network &net, int n)
        : height(net.layers[n].height), width(net.layers[n].width), channels(net.layers[n].channels),
          side(n < net.bundles && net.bundle[n].kind == CONV ? 2 : 0), frame(side ? net.bundle[n].padding : 0),
          rows(side ? (height + 2 * frame + 1) / 2 : 1), columns(side ? (width + 2 * frame + 1) / 2 : 1),
          inside(side ? 4 : height * width), block(padded(inside * channels)) {}

    int positions() const { return rows * columns * inside; }
    int size() const { return rows * columns * block; }
    int position(int y, int x) const {
        if (!side) return y * width + x;
        y += frame, x += frame;
        return (y / 2 * columns + x / 2) * 4 + y % 2 * 2 + x % 2;
    }
    int neuron(int position) const { return position / inside * block + position % inside * channels; }
    int neuron(int y, int x) const { return neuron(position(y, x)); }
};

} // namespace
