// The C++ side of paper/systems/compiled.py's structures; the order and types must agree.
#pragma once

#include <cstdint>

namespace {

enum Kind { DENSE, AVERAGE, MAXIMUM };

struct Layer {
    int32_t channels, height, width;
    int neurons() const { return channels * height * width; }
    int positions() const { return height * width; }
};

struct Link {
    int32_t kind, kernel;
    float forward_scale, backward_scale; // of the sums of w * spikes: by what pooling divides, and how weak the way back is
};

struct Task {
    int32_t links; // dynamic ones
    int32_t spiking, image_spikes, clip_nudge, softmax, classes;
    int32_t halves; // odd layers first, then even ones
    int32_t free, nudged, window, phases; // phases: nudged ones
    float threshold, beta;
    float still; // the free phase ends when no xi changes more; below 0 for never
    int32_t deviations; // nudged phases send these, as spikes worth `unit`
    float unit[16]; // of layers 0..N
    Layer layers[16];
    Link link[16];
};

} // namespace
