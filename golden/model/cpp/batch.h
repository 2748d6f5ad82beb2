// A batch in groups of LANES samples, and the crews of threads that process them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

#include "group.h"
#include "kernel.h"
#include "kept.h"
#include "lanes.h"
#include "network.h"
#include "team.h"
#include "tiles.h"

namespace {

// Sums of a crew: spikes of each layer, updates of each bundle and, if commits are centred, sums of its pre
// channels.
struct Totals {
    std::vector<int64_t> spikes;
    std::vector<int64_t *> weights, biases, read;
    Vector<int64_t> own; // memory of the pointers, unless they point to the caller's arrays
};

// Threads that process a group of samples together, and their sums.
struct Crew {
    Team team;
    Totals totals;
    std::unique_ptr<Group> group; // none: no memory for it
    int64_t taken = 0;            // the group in progress

    explicit Crew(int size) : team(size) {}
};

// A batch of samples in groups of LANES: each crew takes the next one until none is left.
struct Batch {
    const Network &net;
    Vector<int8_t> weights; // working copies, bundle after bundle
    Vector<int32_t> biases;
    const uint8_t *images;
    const int64_t *labels;
    int64_t count, groups;
    std::vector<Kernels> kernels;
    std::vector<int64_t> weight_counts, bias_counts, read_counts; // read_counts: 0 unless commits are centred
    int64_t *predictions;
    std::atomic<int64_t> next{0}, done{0};

    Batch(const Network &n, const int64_t *const *w, const int64_t *const *b, const uint8_t *i, const int64_t *l, int64_t c,
          int64_t *p, bool centred)
        : net(n), images(i), labels(l), count(c), groups((c + LANES - 1) / LANES), predictions(p) {
        for (int n = 0; n < net.bundles; n++) {
            const Layer &pre = net.layers[n], &post = net.layers[n + 1];
            const Bundle &bundle = net.bundle[n];
            const int inputs = bundle.full() ? pre.neurons() : pre.channels * bundle.kernel * bundle.kernel;
            weight_counts.push_back(static_cast<int64_t>(post.channels) * inputs);
            const size_t first = weights.size();
            append(weights, w[n], weight_counts[n], net.weight_round, net.weight_high);
            bias_counts.push_back(post.channels);
            read_counts.push_back(centred ? pre.channels : 0);
            append(biases, b[n], post.channels, net.bias_round, net.bias_high);
            kernels.emplace_back(bundle, pre, post, weights.data() + first);
        }
    }

    // Append working copies: masters rounded half up, saturating at the top.
    template <typename T> static void append(Vector<T> &to, const int64_t *masters, int64_t count, int shift, int32_t high) {
        const size_t first = to.size();
        to.resize(first + count);
        for (int64_t i = 0; i < count; i++) {
            const auto rounded = static_cast<int32_t>((masters[i] + (int64_t{1} << (shift - 1))) >> shift);
            to[first + i] = static_cast<T>(std::min(rounded, high));
        }
    }

    // A thread's work. A crew without memory takes no group; if all lack it, `done` stays below `groups`.
    void work(Crew &crew, int member) {
        Team &team = crew.team;
        [[maybe_unused]] const Tiles tiles;
        if (!member) set_up(crew);
        team.wait();
        if (!crew.group) return;
        Group &group = *crew.group;
        Totals &totals = crew.totals;
        const int64_t pixels = net.layers[0].neurons();
        for (;;) {
            if (!member) {
                crew.taken = next++;
                const int64_t first = crew.taken * LANES;
                if (crew.taken < groups)
                    group.begin(images + first * pixels, labels ? labels + first : nullptr, in_group(first));
            }
            team.wait();
            if (crew.taken >= groups) return;
            group.run(labels != nullptr, member);
            if (labels) group.add_updates(totals.weights.data(), totals.biases.data(), member);
            if (!member) finish(crew);
        }
    }

  private:
    // Number of samples in the group that begins with sample `first`.
    int in_group(int64_t first) const { return static_cast<int>(std::min<int64_t>(LANES, count - first)); }

    void set_up(Crew &crew) noexcept try {
        auto group = std::make_unique<Group>(net, crew.team, kernels, weights.data(), biases.data());
        std::vector<int64_t> spikes(net.bundles, 0);
        if (crew.totals.weights.empty()) point_to_own(crew.totals);
        crew.totals.spikes.swap(spikes);
        crew.group = std::move(group);
    } catch (const std::bad_alloc &) {
    }

    // Called by one member, when the others have finished the group.
    void finish(Crew &crew) {
        const Group &group = *crew.group;
        const int64_t first = crew.taken * LANES;
        for (int l = 0; l < in_group(first); l++) predictions[first + l] = group.prediction(l);
        for (int n = 1; n <= net.bundles; n++) crew.totals.spikes[n - 1] += group.spikes_of(n);
        if (read_counts[0]) group.add_read(crew.totals.read.data());
        done++;
    }

    void point_to_own(Totals &totals) const {
        totals.own.assign(weights.size() + biases.size() + std::accumulate(read_counts.begin(), read_counts.end(), size_t{0}), 0);
        int64_t *at = totals.own.data();
        for (const int64_t n : weight_counts) totals.weights.push_back(at), at += n;
        for (const int64_t n : bias_counts) totals.biases.push_back(at), at += n;
        for (const int64_t n : read_counts) totals.read.push_back(at), at += n;
    }
};

} // namespace
