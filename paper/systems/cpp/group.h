// The state of TEAM * LANES samples, and the steps of paper.systems.phases.
//
// Samples are the innermost dimension, so a sample's result doesn't depend on its thread or on other samples.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <vector>

#include "drives.h"
#include "lanes.h"
#include "maximum.h"
#include "network.h"

namespace {

// Arguments and counters that all threads share.
struct Shared {
    const Task &task;
    std::vector<Joint> joints;
    std::vector<MaximumLink> maxima; // instead of the joints, with maximum pooling
    const float *const *weights, *const *biases; // of each link, the readout included
    const float *images;                         // (count, pixels)
    const int64_t *labels;                       // or null
    const int32_t *signs;                        // of beta in each nudged phase
    const float *prediction, *rate;              // lambda and epsilon of each step of a sample
    int64_t count, size; // number of images; how many a thread takes at a time, at most TEAM * LANES
    std::atomic<int64_t> next{0}, done{0};
};

// Values of a layer's step that its derivative needs: xi before the clip, and V + e, which is compared with
// the threshold.
struct Record {
    Vecs unclipped, potential;
};

template <int TEAM> struct Group {
    struct State {
        Vecs d, V, s, xi;
    };

    Shared &all_of_it;
    const Task &task;
    std::vector<State> layers;
    std::vector<Vecs> phi;
    Vecs static_drive, boxes, taps, target;
    std::vector<int> live; // pixels not 0 in all samples; with a threshold >= 0 no others spike
    Vecs nudge;                // result of `push`
    Record *records = nullptr; // of layers 0..N in this step, or null
    const State *base = nullptr; // of layers 0..N: if set, spikes encode the deviation from it
    int64_t first = 0;
    int present = 0;

    explicit Group(Shared &shared) : all_of_it(shared), task(shared.task) {
        layers.resize(task.links + 1);
        for (int n = 0; n <= task.links; n++) {
            const size_t size = static_cast<size_t>(task.layers[n].neurons()) * TEAM;
            State &state = layers[n];
            for (Vecs *x : {&state.d, &state.V, &state.s, &state.xi}) x->resize(size);
            phi.emplace_back(size);
        }
        target.resize(static_cast<size_t>(task.classes) * TEAM);
    }

    // Load the samples from `from` on, and set all state to zero.
    void load(int64_t from) {
        first = from;
        present = static_cast<int>(std::min(all_of_it.size, all_of_it.count - from));
        for (State &state : layers)
            for (Vecs *x : {&state.d, &state.V, &state.s, &state.xi}) std::fill(x->begin(), x->end(), Vec{});
        Vecs &pixels = phi[0]; // free for the pixels, since the image has no drive
        std::fill(pixels.begin(), pixels.end(), Vec{});
        const int count = task.layers[0].neurons();
        for (int sample = 0; sample < present; sample++)
            for (int i = 0; i < count; i++)
                pixels[i * TEAM + sample / LANES][sample % LANES] = all_of_it.images[(first + sample) * count + i];
        live.clear();
        for (int i = 0; i < count; i++) {
            bool any = false;
            for (int k = 0; k < TEAM * LANES; k++) any |= task.threshold < 0.0f || pixels[i * TEAM + k / LANES][k % LANES] != 0.0f;
            if (any) live.push_back(i);
        }
        std::fill(target.begin(), target.end(), Vec{});
        if (all_of_it.labels)
            for (int sample = 0; sample < present; sample++)
                target[all_of_it.labels[first + sample] * TEAM + sample / LANES][sample % LANES] = 1.0f;
        if (!task.image_spikes) {
            layers[0].s = layers[0].xi = pixels;
            static_drive.resize(phi[1].size());
            all_of_it.joints[0].template forward<TEAM>(pixels, static_drive, boxes, present, nullptr);
        }
    }

    // Step all layers at once, from the outputs of the step before; or the odd ones, then the even ones and
    // the image.
    void step(int t, float strength) {
        if (!task.halves) return turn(t, strength, 1, 1, true);
        turn(t, strength, 1, 2, false);
        turn(t, strength, 2, 2, true);
    }

    // Step every `stride`-th layer from `from` on, and the image if `image`.
    void turn(int t, float strength, int from, int stride, bool image) {
        for (int n = from; n <= task.links; n += stride) {
            if (n == 1 && base) std::fill(phi[n].begin(), phi[n].end(), Vec{});
            else if (n == 1 && !task.image_spikes) phi[n] = static_drive;
            else all_of_it.joints[n - 1].template forward<TEAM>(layers[n - 1].s, phi[n], boxes, present, n == 1 ? &live : nullptr);
            if (n < task.links) all_of_it.joints[n].template backward<TEAM>(layers[n + 1].s, phi[n], taps, present);
        }
        const float prediction = all_of_it.prediction[t], rate = all_of_it.rate[t];
        if (image && task.image_spikes && !base) {
            State &state = layers[0];
            for (size_t i = 0; i < state.xi.size(); i++) encode(state, i, phi[0][i], prediction);
        }
        for (int n = from; n <= task.links; n += stride) fire(n, prediction, rate, n == task.links ? strength : 0.0f);
    }

    // Step the neurons of layer n: eq. 10, or eq. 3 without spikes. strength: of the nudge, 0 for none.
    void fire(int n, float prediction, float rate, float strength) {
        State &state = layers[n];
        const int positions = task.layers[n].positions();
        if (strength != 0.0f) push(state.xi, strength);
        for (int c = 0; c < task.layers[n].channels; c++) {
            const float bias = all_of_it.biases[n - 1][c];
            for (int i = c * positions * TEAM; i < (c + 1) * positions * TEAM; i++) {
                Vec drive = phi[n][i];
                if (task.spiking) drive = state.d[i] = lerp(state.d[i], drive, prediction);
                if (base) drive += base[n].d[i];
                drive += bias;
                if (strength != 0.0f && task.clip_nudge) drive += nudge[i];
                const Vec unclipped = rate == 1.0f ? drive : lerp(state.xi[i], drive, rate);
                Vec xi = clipped(unclipped);
                if (strength != 0.0f && !task.clip_nudge) xi += nudge[i];
                if (records) records[n].unclipped[i] = unclipped;
                if (base) encode(state, i, xi, base[n].xi[i], task.unit[n], prediction);
                else if (task.spiking) {
                    const Vec x = encode(state, i, xi, prediction);
                    if (records) records[n].potential[i] = x;
                } else state.s[i] = state.xi[i] = xi;
            }
        }
    }

    // Predictive coding and sigma-delta: the last three lines of eq. 10. Returns V + e.
    Vec encode(State &state, size_t i, Vec xi, float prediction) const {
        const Vec x = state.V[i] + lerp(state.xi[i], xi, 1.0f / prediction);
        const Vec s = x > task.threshold ? all(1.0f) : Vec{};
        state.V[i] = x - s;
        state.s[i] = s;
        state.xi[i] = xi;
        return x;
    }

    // The same for xi's deviation from `from`, in spikes of +-unit.
    static void encode(State &state, size_t i, Vec xi, Vec from, float unit, float prediction) {
        const Vec x = state.V[i] + lerp(state.xi[i] - from, xi - from, 1.0f / prediction), half = all(unit / 2);
        const Vec s = x > half ? all(unit) : x < -half ? all(-unit) : Vec{};
        state.V[i] = x - s;
        state.s[i] = s;
        state.xi[i] = xi;
    }

    // At the end of the free phase: send deviations from this state from now on.
    void deviate(const State *from) {
        base = from;
        for (int n = 0; n <= task.links; n++) {
            State &state = layers[n];
            std::fill(state.d.begin(), state.d.end(), Vec{});
            std::fill(state.s.begin(), state.s.end(), Vec{});
            const Vec half = all(0.5f);
            for (Vec &V : state.V) V = task.unit[n] * (V > half ? half : V < -half ? -half : V);
        }
    }

    // nudge = -strength * dL/dxi of the last layer, from its xi.
    void push(const Vecs &last, float strength) {
        nudge.resize(last.size());
        if (!task.softmax) {
            for (size_t i = 0; i < nudge.size(); i++) nudge[i] = strength * (target[i] - last[i]);
            return;
        }
        const int neurons = task.layers[task.links].neurons();
        const float *const w = all_of_it.weights[task.links], *const b = all_of_it.biases[task.links];
        std::fill(nudge.begin(), nudge.end(), Vec{});
        for (int g = 0; g < TEAM; g++) {
            std::vector<Vec> p(task.classes);
            Vec largest = all(-INFINITY), total = {};
            for (int o = 0; o < task.classes; o++) {
                p[o] = all(b[o]);
                for (int i = 0; i < neurons; i++) p[o] += w[o * neurons + i] * last[i * TEAM + g];
                largest = p[o] > largest ? p[o] : largest;
            }
            for (Vec &x : p) {
                for (int lane = 0; lane < LANES; lane++) x[lane] = std::exp(x[lane] - largest[lane]);
                total += x;
            }
            for (int o = 0; o < task.classes; o++) {
                const Vec error = strength * (target[o * TEAM + g] - p[o] / total);
                for (int i = 0; i < neurons; i++) nudge[i * TEAM + g] += w[o * neurons + i] * error;
            }
        }
    }

    // Copy x to out, (samples, neurons).
    void put(const Vecs &x, float *out) const {
        const size_t neurons = x.size() / TEAM;
        for (size_t start = 0; start < neurons; start += LANES) { // blocks that fit the L1 cache
            const size_t end = std::min(start + LANES, neurons);
            for (int sample = 0; sample < present; sample++)
                for (size_t i = start; i < end; i++)
                    out[(first + sample) * neurons + i] = x[i * TEAM + sample / LANES][sample % LANES];
        }
    }
};

} // namespace
