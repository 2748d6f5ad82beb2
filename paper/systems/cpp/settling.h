// paper.systems.phases.averages of networks with maximum pooling: one sample at a time, until it has settled.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "group.h"
#include "maximum.h"

namespace {

struct Settling {
    // xi at the end of each phase, the free one first, and each layer 1..N: (count, neurons).
    using Out = float *const *;

    Shared &all_of_it;
    const Task &task;
    Out out;
    std::vector<Vecs> xi, phi;              // of layers 0..N; phi of the image isn't used
    std::vector<std::vector<Places>> where; // of links 0..N-1
    std::vector<Vecs> biases;               // of layers 1..N, channels along vectors
    Vecs static_drive, rows, target;

    Settling(Shared &shared, Out to) : all_of_it(shared), task(shared.task), out(to), where(task.links) {
        for (int n = 0; n <= task.links; n++) {
            const size_t size = static_cast<size_t>(task.layers[n].positions()) * vectors(task.layers[n].channels);
            xi.emplace_back(size);
            phi.emplace_back(size);
            if (!n) continue;
            where[n - 1].resize(size);
            biases.emplace_back(vectors(task.layers[n].channels));
            for (int c = 0; c < task.layers[n].channels; c++) biases.back()[c / LANES][c % LANES] = shared.biases[n - 1][c];
        }
        static_drive.resize(phi[1].size());
        target.resize(phi.back().size());
    }

    void run(int64_t sample) {
        for (Vecs &x : xi) std::fill(x.begin(), x.end(), Vec{});
        const Layer &image = task.layers[0];
        for (int c = 0; c < image.channels; c++)
            for (int p = 0; p < image.positions(); p++)
                xi[0][p * vectors(image.channels) + c / LANES][c % LANES] =
                    all_of_it.images[(sample * image.channels + c) * image.positions() + p];
        all_of_it.maxima[0].forward(xi[0], static_drive, where[0], rows);
        for (int t = 0; t < task.free; t++)
            if (step(0.0f) <= task.still) break;
        put(sample, 0);
        if (!all_of_it.labels) return;
        std::fill(target.begin(), target.end(), Vec{});
        const int64_t label = all_of_it.labels[sample];
        target[label / LANES][label % LANES] = 1.0f;
        const auto kept = xi;
        for (int n = 0; n < task.phases; n++) {
            if (n) xi = kept;
            for (int t = 0; t < task.nudged; t++) step(static_cast<float>(all_of_it.signs[n]) * task.beta);
            put(sample, 1 + n);
        }
    }

  private:
    // Step all layers at once by eq. 3; return the largest change of any xi.
    float step(float strength) {
        phi[1] = static_drive;
        for (int n = 2; n <= task.links; n++) all_of_it.maxima[n - 1].forward(xi[n - 1], phi[n], where[n - 1], rows);
        for (int n = 1; n < task.links; n++) all_of_it.maxima[n].backward(xi[n + 1], where[n], phi[n]);
        Vec largest = {};
        for (int n = 1; n <= task.links; n++) {
            const bool push = n == task.links && strength != 0.0f;
            const int each = vectors(task.layers[n].channels);
            for (size_t i = 0; i < xi[n].size(); i++) {
                const Vec nudge = push ? strength * (target[i] - xi[n][i]) : Vec{};
                Vec drive = phi[n][i] + biases[n - 1][i % each];
                if (task.clip_nudge) drive += nudge;
                Vec next = clipped(all_of_it.rate[0] == 1.0f ? drive : lerp(xi[n][i], drive, all_of_it.rate[0]));
                if (!task.clip_nudge) next += nudge;
                const Vec change = next > xi[n][i] ? next - xi[n][i] : xi[n][i] - next;
                largest = change > largest ? change : largest;
                xi[n][i] = next;
            }
        }
        float most = 0.0f;
        for (int lane = 0; lane < LANES; lane++) most = std::max(most, largest[lane]);
        return most;
    }

    void put(int64_t sample, int phase) const {
        for (int n = 1; n <= task.links; n++) {
            const Layer &layer = task.layers[n];
            float *to = out[phase * task.links + n - 1] + sample * layer.neurons();
            for (int c = 0; c < layer.channels; c++)
                for (int p = 0; p < layer.positions(); p++, to++) *to = xi[n][p * vectors(layer.channels) + c / LANES][c % LANES];
        }
    }
};

} // namespace
