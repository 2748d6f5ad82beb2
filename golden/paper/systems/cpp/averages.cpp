// golden.paper.systems.phases.averages as one compiled loop, LANES samples side by side.
//
// Samples are innermost, so all arithmetic is that of one sample, whatever thread it is on and whatever is beside it.
// golden/paper/systems/compiled.py says what the arguments are.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <functional>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "drives.h"
#include "lanes.h"
#include "network.h"

namespace {

// What all threads read.
struct Shared {
    const Task &task;
    std::vector<Joint> joints;
    const float *const *weights, *const *biases; // of each link, the readout too
    const float *images;                         // (count, pixels)
    const int64_t *labels;                       // or null
    const int32_t *signs;                        // of beta in each nudged phase
    const float *prediction, *rate;              // lambda and epsilon of each step since the sample came
    int64_t count;
    float *const *out; // of each phase, the free one first, and layer 1..N: (count, neurons)
    std::atomic<int64_t> next{0}, done{0};
};

// TEAM times LANES samples: their state, and all that the phases do to it.
template <int TEAM> struct Group {
    struct State {
        Vecs d, V, s, xi;
    };

    Shared &all_of_it;
    const Task &task;
    std::vector<State> layers, kept;
    std::vector<Vecs> phi, sums;
    Vecs static_drive, boxes, taps, target;
    int64_t first = 0;
    int present = 0;

    explicit Group(Shared &shared) : all_of_it(shared), task(shared.task) {
        layers.resize(task.links + 1);
        for (int n = 0; n <= task.links; n++) {
            const size_t size = static_cast<size_t>(task.layers[n].neurons()) * TEAM;
            State &state = layers[n];
            for (Vecs *x : {&state.d, &state.V, &state.s, &state.xi}) x->resize(size);
            phi.emplace_back(size);
            sums.emplace_back(size);
        }
        target.resize(static_cast<size_t>(task.classes) * TEAM);
    }

    void run(int64_t from) {
        first = from;
        present = static_cast<int>(std::min<int64_t>(TEAM * LANES, all_of_it.count - from));
        for (State &state : layers)
            for (Vecs *x : {&state.d, &state.V, &state.s, &state.xi}) std::fill(x->begin(), x->end(), Vec{});
        Vecs &pixels = phi[0]; // no drive comes to the image
        std::fill(pixels.begin(), pixels.end(), Vec{});
        const int count = task.layers[0].neurons();
        for (int sample = 0; sample < present; sample++)
            for (int i = 0; i < count; i++)
                pixels[i * TEAM + sample / LANES][sample % LANES] = all_of_it.images[(first + sample) * count + i];
        std::fill(target.begin(), target.end(), Vec{});
        if (all_of_it.labels)
            for (int sample = 0; sample < present; sample++)
                target[all_of_it.labels[first + sample] * TEAM + sample / LANES][sample % LANES] = 1.0f;
        if (!task.image_spikes) {
            layers[0].s = layers[0].xi = pixels;
            static_drive.resize(phi[1].size());
            all_of_it.joints[0].template forward<TEAM>(pixels, static_drive, boxes);
        }
        phase(0, 0, task.free, 0.0f);
        if (!all_of_it.labels) return;
        kept = layers;
        for (int n = 0; n < task.phases; n++) {
            if (n) layers = kept;
            phase(1 + n, task.free, task.nudged, static_cast<float>(all_of_it.signs[n]) * task.beta);
        }
    }

  private:
    void phase(int number, int start, int steps, float strength) {
        for (int t = 0; t < steps; t++) {
            const bool counts = t >= steps - task.window;
            step(start + t, strength);
            if (!counts) continue;
            for (int n = 1; n <= task.links; n++) {
                const Vecs &xi = layers[n].xi;
                for (size_t i = 0; i < xi.size(); i++) sums[n][i] = (t == steps - task.window ? Vec{} : sums[n][i]) + xi[i];
            }
        }
        for (int n = 1; n <= task.links; n++) {
            float *const out = all_of_it.out[number * task.links + n - 1];
            const int neurons = task.layers[n].neurons();
            for (int sample = 0; sample < present; sample++)
                for (int i = 0; i < neurons; i++)
                    out[(first + sample) * neurons + i] =
                        sums[n][i * TEAM + sample / LANES][sample % LANES] / static_cast<float>(task.window);
        }
    }

    // All layers at once, by what was sent in the step before; or the odd ones, then the even ones and the image.
    void step(int t, float strength) {
        if (!task.halves) return turn(t, strength, 1, 1, true);
        turn(t, strength, 1, 2, false);
        turn(t, strength, 2, 2, true);
    }

    // Every `stride`-th layer from `from` on.
    void turn(int t, float strength, int from, int stride, bool image) {
        for (int n = from; n <= task.links; n += stride) {
            if (n == 1 && !task.image_spikes) phi[n] = static_drive;
            else all_of_it.joints[n - 1].template forward<TEAM>(layers[n - 1].s, phi[n], boxes);
            if (n < task.links) all_of_it.joints[n].template backward<TEAM>(layers[n + 1].s, phi[n], taps);
        }
        const float prediction = all_of_it.prediction[t], rate = all_of_it.rate[t];
        if (image && task.image_spikes) {
            State &state = layers[0];
            for (size_t i = 0; i < state.xi.size(); i++) encode(state, i, phi[0][i], prediction);
        }
        for (int n = from; n <= task.links; n += stride) fire(n, prediction, rate, n == task.links ? strength : 0.0f);
    }

    // Eq. 10, or eq. 3 without spikes; strength: of the nudge of the last layer.
    void fire(int n, float prediction, float rate, float strength) {
        State &state = layers[n];
        const int positions = task.layers[n].positions();
        if (strength != 0.0f) push(state, strength);
        for (int c = 0; c < task.layers[n].channels; c++) {
            const float bias = all_of_it.biases[n - 1][c];
            for (int i = c * positions * TEAM; i < (c + 1) * positions * TEAM; i++) {
                Vec drive = phi[n][i];
                if (task.spiking) drive = state.d[i] = lerp(state.d[i], drive, prediction);
                drive += bias;
                if (strength != 0.0f && task.clip_nudge) drive += nudge[i];
                Vec xi = clipped(rate == 1.0f ? drive : lerp(state.xi[i], drive, rate));
                if (strength != 0.0f && !task.clip_nudge) xi += nudge[i];
                if (task.spiking) encode(state, i, xi, prediction);
                else state.s[i] = state.xi[i] = xi;
            }
        }
    }

    // Predictive coding and sigma-delta: the last three lines of eq. 10.
    void encode(State &state, size_t i, Vec xi, float prediction) const {
        const Vec x = state.V[i] + lerp(state.xi[i], xi, 1.0f / prediction);
        const Vec s = x > task.threshold ? all(1.0f) : Vec{};
        state.V[i] = x - s;
        state.s[i] = s;
        state.xi[i] = xi;
    }

    // strength * -dL/dxi of the last layer, from its xi before the step.
    Vecs nudge;
    void push(const State &last, float strength) {
        nudge.resize(last.xi.size());
        if (!task.softmax) {
            for (size_t i = 0; i < nudge.size(); i++) nudge[i] = strength * (target[i] - last.xi[i]);
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
                for (int i = 0; i < neurons; i++) p[o] += w[o * neurons + i] * last.xi[i * TEAM + g];
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
};

template <int TEAM> void work(Shared &shared) noexcept try {
    Group<TEAM> group(shared);
    for (int64_t from = shared.next.fetch_add(TEAM * LANES); from < shared.count; from = shared.next.fetch_add(TEAM * LANES)) {
        group.run(from);
        shared.done++;
    }
} catch (const std::bad_alloc &) {
}

template <int TEAM> bool run(Shared &shared, int64_t threads) {
    const int64_t groups = (shared.count + TEAM * LANES - 1) / (TEAM * LANES);
    std::vector<std::thread> pool;
    try {
        for (int64_t t = 1; t < std::min(threads, groups); t++) pool.emplace_back(work<TEAM>, std::ref(shared));
    } catch (const std::system_error &) { // no more threads to be had: those that started do it
    } catch (const std::bad_alloc &) {
    }
    work<TEAM>(shared);
    for (auto &thread : pool) thread.join();
    return shared.done == groups;
}

} // namespace

// The result: 0, or -1 if memory ran out.
extern "C" int32_t paper_averages(const Task *task, const float *const *weights, const float *const *biases, const float *images,
                                  const int64_t *labels, const int32_t *signs, const float *prediction, const float *rate,
                                  int64_t count, int64_t threads, float *const *out) try {
    std::vector<Joint> joints;
    for (int n = 0; n < task->links; n++) joints.emplace_back(task->link[n], task->layers[n], task->layers[n + 1], weights[n]);
    Shared shared{*task, std::move(joints), weights, biases, images, labels, signs, prediction, rate, count, out};
    // two vectors a weight where there are enough samples for all threads
    const bool pairs = count > LANES * std::max<int64_t>(1, threads);
    return (pairs ? run<2>(shared, threads) : run<1>(shared, threads)) ? 0 : -1;
} catch (const std::bad_alloc &) {
    return -1;
}
