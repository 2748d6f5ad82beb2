// paper.systems.phases.averages as one loop.
#pragma once

#include <vector>

#include "group.h"

namespace {

// Runs all phases of a group of samples, and averages xi over the last `window` steps of each.
template <int TEAM> struct Averages {
    // Averages of each phase, the free one first, and each layer 1..N: (count, neurons).
    using Out = float *const *;

    Group<TEAM> group;
    const Task &task;
    Out out;
    std::vector<Vecs> sums;
    std::vector<typename Group<TEAM>::State> kept; // states at the end of the free phase

    Averages(Shared &shared, Out to) : group(shared), task(shared.task), out(to) {
        for (const auto &layer : group.layers) sums.emplace_back(layer.xi.size());
    }

    void run(int64_t from) {
        group.load(from);
        group.base = nullptr;
        phase(0, 0, task.free, 0.0f);
        if (!group.all_of_it.labels) return;
        kept = group.layers;
        for (int n = 0; n < task.phases; n++) {
            if (n) group.layers = kept;
            if (task.deviations) group.deviate(kept.data());
            phase(1 + n, task.free, task.nudged, static_cast<float>(group.all_of_it.signs[n]) * task.beta);
        }
    }

  private:
    void phase(int number, int start, int steps, float strength) {
        for (int t = 0; t < steps; t++) {
            group.step(start + t, strength);
            if (t < steps - task.window) continue;
            for (int n = 1; n <= task.links; n++) {
                const Vecs &xi = group.layers[n].xi;
                for (size_t i = 0; i < xi.size(); i++) sums[n][i] = (t == steps - task.window ? Vec{} : sums[n][i]) + xi[i];
            }
        }
        for (int n = 1; n <= task.links; n++) {
            for (Vec &x : sums[n]) x /= static_cast<float>(task.window);
            group.put(sums[n], out[number * task.links + n - 1]);
        }
    }
};

} // namespace
