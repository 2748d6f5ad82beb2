// golden.model.batch as one compiled loop: equal bits, LANES samples side by side, one thread for each group of them.
//
// The batch is the innermost dimension: LANES samples are one vector. Spikes and weights are bytes, four neurons to the
// 32-bit word of a lane, because processors have an instruction for four such products and their sum (VPDPBUSD, "dot product
// of bytes"). Everything else is int32, an update int64 until its one shift. golden/model/native.py checks the bounds behind
// that and says what the arguments are.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <new>
#include <numeric>
#include <system_error>
#include <thread>
#include <vector>

#include "group.h"
#include "kernel.h"
#include "kept.h"
#include "lanes.h"
#include "network.h"
#include "tiles.h"

namespace {

// What a thread adds up: spikes of each layer, updates of each bundle, and what it read if they are centred.
struct Totals {
    std::vector<int64_t> spikes;
    std::vector<int64_t *> weights, biases, read;
    Vector<int64_t> own; // where they point to, unless it is at what the caller gave
};

// A batch of samples in groups of LANES, and what its threads add up: each takes the next group until none is left.
struct Batch {
    const Network &net;
    Vector<int8_t> weights; // working copies, bundle after bundle
    Vector<int32_t> biases;
    const uint8_t *images;
    const int64_t *labels;
    int64_t count, groups;
    std::vector<Kernels> kernels;
    std::vector<int64_t> weight_counts, bias_counts, read_counts; // the last ones 0 where updates aren't centred
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

    // Masters rounded half up, saturating at the top.
    template <typename T> static void append(Vector<T> &to, const int64_t *masters, int64_t count, int shift, int32_t high) {
        const size_t first = to.size();
        to.resize(first + count);
        for (int64_t i = 0; i < count; i++) {
            const auto rounded = static_cast<int32_t>((masters[i] + (int64_t{1} << (shift - 1))) >> shift);
            to[first + i] = static_cast<T>(std::min(rounded, high));
        }
    }

    // One thread's share. Without memory it ends early, and where that was in the midst of a group, `done` stays below `groups`.
    void work(Totals &totals) noexcept try {
        std::vector<int64_t> spikes(net.bundles, 0);
        [[maybe_unused]] const Tiles tiles;
        Group group(net, kernels, weights.data(), biases.data());
        if (totals.weights.empty()) point_to_own(totals);
        totals.spikes.swap(spikes);
        const int64_t pixels = net.layers[0].neurons();
        for (int64_t g = next++; g < groups; g = next++) {
            int64_t first = g * LANES;
            int lanes = static_cast<int>(std::min<int64_t>(LANES, count - first));
            group.begin(images + first * pixels, labels ? labels + first : nullptr, lanes);
            group.run(labels != nullptr);
            for (int l = 0; l < lanes; l++) predictions[first + l] = group.prediction(l);
            for (int n = 1; n <= net.bundles; n++)
                for (int l = 0; l < lanes; l++) totals.spikes[n - 1] += group.spikes[n][l];
            if (labels) group.add_updates(totals.weights.data(), totals.biases.data());
            if (read_counts[0]) group.add_read(totals.read.data());
            done++;
        }
    } catch (const std::bad_alloc &) {
    }

  private:
    void point_to_own(Totals &totals) const {
        totals.own.assign(weights.size() + biases.size() + std::accumulate(read_counts.begin(), read_counts.end(), size_t{0}), 0);
        int64_t *at = totals.own.data();
        for (const int64_t n : weight_counts) totals.weights.push_back(at), at += n;
        for (const int64_t n : bias_counts) totals.biases.push_back(at), at += n;
        for (const int64_t n : read_counts) totals.read.push_back(at), at += n;
    }
};

void add(int64_t *const *to, const std::vector<int64_t *> &from, const std::vector<int64_t> &counts) {
    for (size_t n = 0; n < counts.size(); n++)
        for (int64_t i = 0; i < counts[n]; i++) to[n][i] += from[n][i];
}

} // namespace

// weights, biases: masters of each bundle, in torch's order; so are the updates. labels: null for inference. threads: at most; those
// that can't be started are done without. Updates are added to, and so is `read`, of each bundle: null where they aren't centred.
// The result: how many threads took part, or -1 if memory ran out; then what has been written is of no use.
extern "C" int32_t nudge_run(const Network *net, const int64_t *const *weights, const int64_t *const *biases,
                             const uint8_t *images, const int64_t *labels, int64_t count, int64_t threads, int64_t *predictions,
                             int64_t *spikes, int64_t *const *weight_updates, int64_t *const *bias_updates,
                             int64_t *const *read) try {
    Batch batch(*net, weights, biases, images, labels, count, predictions, read != nullptr);
    std::vector<Totals> totals(std::max<int64_t>(1, std::min(threads, batch.groups)));
    totals[0].weights.assign(weight_updates, weight_updates + net->bundles);
    totals[0].biases.assign(bias_updates, bias_updates + net->bundles);
    if (read) totals[0].read.assign(read, read + net->bundles);
    std::vector<std::thread> pool;
    pool.reserve(totals.size());
    try {
        for (size_t t = 1; t < totals.size(); t++) pool.emplace_back(&Batch::work, &batch, std::ref(totals[t]));
    } catch (const std::system_error &) { // no more threads to be had: those that started do it
    } catch (const std::bad_alloc &) {
    }
    batch.work(totals[0]);
    for (auto &thread : pool) thread.join();
    if (batch.done < batch.groups) return -1;
    int32_t worked = 0;
    for (const Totals &one : totals) {
        if (one.spikes.empty()) continue;
        worked++;
        for (int n = 0; n < net->bundles; n++) spikes[n] += one.spikes[n];
        if (one.own.empty()) continue;
        add(weight_updates, one.weights, batch.weight_counts);
        add(bias_updates, one.biases, batch.bias_counts);
        if (read) add(read, one.read, batch.read_counts);
    }
    return worked;
} catch (const std::bad_alloc &) {
    return -1;
}
