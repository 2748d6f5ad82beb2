// Backpropagation through the free phase: the derivatives for paper.systems.backprop, step by step.
//
// The caller multiplies states and derivatives to get the update. The inverse of pooling must be its adjoint,
// so that each direction of a link is the other's derivative.
#pragma once

#include <algorithm>
#include <vector>

#include "group.h"

namespace {

template <int TEAM> struct Gradient {
    // Results, of layers 1..N. sent: output after each step, (free, count, neurons). drives: derivative of
    // the loss by each step's drive phi, (free, count, neurons). biases: derivative by the bias at each
    // neuron, summed over steps, (count, neurons). last: averaged xi of the last layer.
    struct Out {
        float *last;
        float *const *sent, *const *drives, *const *biases;
    };

    // Derivatives of the loss by a layer's state.
    struct Adjoint {
        Vecs d, V, s, xi, bias;
    };

    Group<TEAM> group;
    const Task &task;
    const Out out;
    std::vector<std::vector<Record>> tape; // for each step, layers 0..N
    std::vector<Adjoint> adjoints;
    std::vector<Vecs> drives;
    Vecs last;

    Gradient(Shared &shared, Out to) : group(shared), task(shared.task), out(to), tape(task.free), adjoints(task.links + 1) {
        for (int n = 0; n <= task.links; n++) {
            const size_t size = group.layers[n].xi.size();
            for (auto &step : tape) step.push_back(n ? Record{Vecs(size), Vecs(task.spiking ? size : 0)} : Record{});
            Adjoint &a = adjoints[n];
            for (Vecs *x : {&a.d, &a.V, &a.s, &a.xi, &a.bias}) x->resize(size);
            drives.emplace_back(size);
        }
        last.resize(group.layers[task.links].xi.size());
    }

    void run(int64_t from) {
        group.load(from);
        std::fill(last.begin(), last.end(), Vec{});
        for (int t = 0; t < task.free; t++) {
            group.records = tape[t].data();
            group.step(t, 0.0f);
            for (int n = 1; n <= task.links; n++) group.put(group.layers[n].s, at(out.sent, t, n));
            if (t >= task.free - task.window)
                for (size_t i = 0; i < last.size(); i++) last[i] += group.layers[task.links].xi[i];
        }
        const float window = static_cast<float>(task.window);
        for (Vec &x : last) x /= window;
        group.put(last, out.last);
        group.push(last, -1.0f / window);

        for (Adjoint &a : adjoints)
            for (Vecs *x : {&a.d, &a.V, &a.s, &a.xi, &a.bias}) std::fill(x->begin(), x->end(), Vec{});
        for (int t = task.free - 1; t >= 0; t--) {
            Vecs &of_output = adjoints[task.links].xi;
            if (t >= task.free - task.window)
                for (size_t i = 0; i < of_output.size(); i++) of_output[i] += group.nudge[i];
            if (task.halves) {
                turn(t, 2, 2);
                turn(t, 1, 2);
            } else turn(t, 1, 1);
        }
        for (int n = 1; n <= task.links; n++) group.put(adjoints[n].bias, out.biases[n - 1]);
    }

  private:
    float *at(float *const *histories, int t, int n) const {
        return histories[n - 1] + static_cast<size_t>(t) * group.all_of_it.count * task.layers[n].neurons();
    }

    // Backpropagate through the layers that stepped together: first through the neurons of each, then through
    // its drives.
    void turn(int t, int from, int stride) {
        for (int n = from; n <= task.links; n += stride) {
            through(t, n);
            group.put(drives[n], at(out.drives, t, n));
        }
        for (int n = from; n <= task.links; n += stride) {
            const auto &joints = group.all_of_it.joints;
            if (n > 1) joints[n - 1].template backward<TEAM>(drives[n], adjoints[n - 1].s, group.taps, group.present);
            if (n == task.links) continue;
            Vecs &above = group.phi[n + 1], &sent = adjoints[n + 1].s;
            joints[n].template forward<TEAM>(drives[n], above, group.boxes, group.present, nullptr);
            for (size_t i = 0; i < sent.size(); i++) sent[i] += above[i];
        }
    }

    // Backpropagate Group::fire: from derivatives by the new state to those by the old state and the drive.
    void through(int t, int n) {
        const float prediction = group.all_of_it.prediction[t], rate = group.all_of_it.rate[t];
        const Record &record = tape[t][n];
        Adjoint &a = adjoints[n];
        for (size_t i = 0; i < a.xi.size(); i++) {
            Vec of_xi = a.xi[i], of_old = {};
            if (task.spiking) {
                const Vec z = record.potential[i] - task.threshold, distance = z < 0.0f ? -z : z;
                const Vec surrogate = distance < 1.0f ? 1.0f - distance : Vec{};
                a.V[i] += (a.s[i] - a.V[i]) * surrogate;
                of_xi += a.V[i] / prediction;
                of_old = a.V[i] - a.V[i] / prediction;
            } else of_xi += a.s[i];
            const Vec y = record.unclipped[i];
            const Vec free = y < 0.0f ? Vec{} : of_xi, inside = y > 1.0f ? Vec{} : free;
            const Vec of_drive = rate * inside;
            a.xi[i] = of_old + (inside - of_drive);
            a.s[i] = Vec{};
            a.bias[i] += of_drive;
            if (task.spiking) {
                const Vec of_d = a.d[i] + of_drive;
                drives[n][i] = prediction * of_d;
                a.d[i] = of_d - drives[n][i];
            } else drives[n][i] = of_drive;
        }
    }
};

} // namespace
