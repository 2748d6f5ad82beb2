// C++ side of the structures in golden/model/native.py; order and types must agree.
#pragma once

#include <cstdint>

namespace {

enum Kind { IMAGE, CONV, DENSE, PIXELS };

struct Layer {
    int32_t channels, height, width;
    int neurons() const { return channels * height * width; }
    int positions() const { return height * width; }
    // Words of four neurons: channels 4q .. 4q+3 at one of `inner` positions, channels innermost.
    int words(int inner) const { return (channels + 3) / 4 * inner; }
};

struct Bundle {
    int32_t kind, kernel, weight_shift, weight_rate, bias_rate;
    int32_t narrow; // whether a weight's g times its rate, plus the rounding half, fits 32 bits
    bool full() const { return kind == DENSE || kind == PIXELS; }
};

// Left shifts of a layer's two drives before they are added, and of their sum to d's LSB.
struct Shifts {
    int32_t below, above, rest;
};

struct Network {
    int32_t bundles, classes, averaging_window, decay_shift, halvings, turns, free_steps, nudged_steps, beta;
    int32_t fine; // whether nudged phases have fine spikes
    int32_t round_shift, nudge_shift, static_shift, bias_shift, one_bits, threshold;
    int32_t decoder_low, decoder_high, update_bound;
    int32_t weight_round, weight_high, bias_round, bias_high; // from masters to working copies
    int32_t halving[16]; // steps of the free phase; the first `halvings` are used
    int32_t point[16]; // binary point of the fine spikes of layers 0..N
    Shifts shifts[2][16]; // for layers 0..N; [0]: plain spikes, [1]: nudged phases with fine spikes
    Layer layers[16];
    Bundle bundle[16];
};

} // namespace
