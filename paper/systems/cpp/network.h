// The structures of paper/systems/compiled.py in C++; order and types of the fields must agree.
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
    float forward_scale, backward_scale; // factors on sums of w * s: 1 / pooling's divisor, feedback
};

struct Task {
    int32_t links; // without a readout
    int32_t spiking, image_spikes, clip_nudge, softmax, classes;
    int32_t halves; // 1: odd layers first, then even ones
    int32_t free, nudged, window, phases; // phases: number of nudged phases
    float threshold, beta;
    float still; // the free phase ends when no xi changes by more; below 0: never
    int32_t deviations; // 1: spikes of nudged phases encode deviations, with weight `unit`
    float unit[16]; // of layers 0..N
    Layer layers[16];
    Link link[16];
};

} // namespace
