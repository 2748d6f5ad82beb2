// golden.model.batch as one compiled loop: equal bits, LANES samples side by side, a thread for each group of them, or several.
//
// The batch is the innermost dimension: LANES samples are one vector. Spikes and weights are bytes, four neurons to the
// 32-bit word of a lane, because processors have an instruction for four such products and their sum (VPDPBUSD, "dot product
// of bytes"). Everything else is int32, an update int64 until its one shift. golden/model/native.py checks the bounds behind
// that and says what the arguments are.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
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
#include "team.h"
#include "tiles.h"

namespace {

// What a thread adds up: spikes of each layer, updates of each bundle, and what it read if they are centred.
struct Totals {
    std::vector<int64_t> spikes;
    std::vector<int64_t *> weights, biases, read;
    Vector<int64_t> own; // where they point to, unless it is at what the caller gave
};

// Threads that take a group of samples together, and what they add up.
struct Crew {
    Team team;
    Totals totals;
    std::unique_ptr<Group> group; // none: there was no memory for it
    int64_t taken = 0;            // which group they are at

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

    // A thread's share. Without memory a crew takes no group, and if none does, `done` stays below `groups`.
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
                    group.begin(images + first * pixels, labels ? labels + first : nullptr, static_cast<int>(std::min<int64_t>(LANES, count - first)));
            }
            team.wait();
            if (crew.taken >= groups) return;
            group.run(labels != nullptr, member);
            if (labels) group.add_updates(totals.weights.data(), totals.biases.data(), member);
            if (!member) finish(crew);
        }
    }

  private:
    void set_up(Crew &crew) noexcept try {
        auto group = std::make_unique<Group>(net, crew.team, kernels, weights.data(), biases.data());
        std::vector<int64_t> spikes(net.bundles, 0);
        if (crew.totals.weights.empty()) point_to_own(crew.totals);
        crew.totals.spikes.swap(spikes);
        crew.group = std::move(group);
    } catch (const std::bad_alloc &) {
    }

    // By one member, when the others are done with the group.
    void finish(Crew &crew) {
        const Group &group = *crew.group;
        const int64_t first = crew.taken * LANES;
        for (int64_t l = 0; l < std::min<int64_t>(LANES, count - first); l++) predictions[first + l] = group.prediction(static_cast<int>(l));
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
    const int64_t most = std::max<int64_t>(1, std::min(threads, batch.groups * Team::most(*net)));
    std::vector<std::unique_ptr<Crew>> crews;
    std::vector<std::thread> pool;
    std::mutex begun; // threads wait for it to be known how many there are
    std::unique_lock<std::mutex> lock(begun);
    const auto work = [&](size_t thread) {
        { std::lock_guard<std::mutex> wait(begun); }
        for (const auto &crew : crews) {
            if (thread < static_cast<size_t>(crew->team.size)) return batch.work(*crew, static_cast<int>(thread));
            thread -= crew->team.size;
        }
    };
    pool.reserve(most);
    try {
        for (int64_t t = 1; t < most; t++) pool.emplace_back(work, static_cast<size_t>(t));
    } catch (const std::system_error &) { // no more threads to be had: those that started do it
    } catch (const std::bad_alloc &) {
    }
    try {
        const int64_t started = 1 + static_cast<int64_t>(pool.size()), several = std::max<int64_t>(1, std::min(started, batch.groups));
        for (int64_t c = 0; c < several; c++) crews.push_back(std::make_unique<Crew>(static_cast<int>(started / several)));
        crews[0]->totals.weights.assign(weight_updates, weight_updates + net->bundles);
        crews[0]->totals.biases.assign(bias_updates, bias_updates + net->bundles);
        if (read) crews[0]->totals.read.assign(read, read + net->bundles);
    } catch (const std::bad_alloc &) {
        crews.clear();
    }
    lock.unlock();
    work(0);
    for (auto &thread : pool) thread.join();
    if (batch.done < batch.groups) return -1;
    int32_t worked = 0;
    for (const auto &crew : crews) {
        const Totals &one = crew->totals;
        if (!crew->group) continue;
        worked += crew->team.size;
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
