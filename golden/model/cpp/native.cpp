// golden.model.batch as one compiled loop: equal bits, a sample at a time on each thread.
//
// Few neurons spike in a step: 5 to 15 of 100 in wide layers, and far fewer in nudged phases with fine
// spikes. So a drive is the sum of the weight rows that the spikes select, not a matrix product. The channels
// of a position are adjacent: they are the vectors of all loops. golden/model/native.py checks the bounds
// that make this exact, and describes the arguments.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "kept.h"
#include "lanes.h"
#include "network.h"
#include "sample.h"
#include "synapses.h"
#include "updates.h"

namespace {

// Working copies: masters rounded half up, saturating at the top.
template <typename T> Vector<T> working(const int64_t *masters, int64_t count, int shift, int32_t high) {
    Vector<T> to(count);
    for (int64_t i = 0; i < count; i++)
        to[i] =
            static_cast<T>(std::min(static_cast<int32_t>((masters[i] + (int64_t{1} << (shift - 1))) >> shift), high));
    return to;
}

// Pairs of bundle 1's taps, in the order in which `Sample::drive_from_image` reads them: (tap, channel) of a
// convolution, (position, channel) of a dense layer.
Vector<int32_t> image_pairs(const Bundle &b, const Layer &input, const Layer &post, const Vector<int8_t> &w) {
    const int taps = b.full() ? input.positions() : b.taps(), inputs = input.channels * taps,
              wide = padded(post.channels, LANES);
    Vector<int32_t> to(static_cast<size_t>(inputs + 1) / 2 * wide, 0);
    for (int o = 0; o < post.channels; o++)
        for (int i = 0; i < inputs; i += 2) {
            const auto weight = [&](int i) {
                return i < inputs ? w[o * inputs + i % input.channels * taps + i / input.channels] : 0;
            };
            to[static_cast<size_t>(i / 2) * wide + o] = pair(weight(i), weight(i + 1));
        }
    return to;
}

// Working copies of all bundles but for the rows of their synapses. copies: room for the bundles' weights.
Weights working_copies(const Network &net, const int64_t *const *weights, const int64_t *const *biases,
                       Vector<int8_t> *copies) {
    Weights to;
    to.synapses.reserve(net.bundles);
    for (int n = 0; n < net.bundles; n++) {
        const Bundle &b = net.bundle[n];
        const Layer &pre = net.layers[n], &post = net.layers[n + 1];
        const int64_t count =
            static_cast<int64_t>(post.channels) * (b.full() ? pre.neurons() : pre.channels * b.taps());
        copies[n] = working<int8_t>(weights[n], count, net.weight_round, net.weight_high);
        const auto bias = working<int16_t>(biases[n], post.channels, net.bias_round, net.bias_high);
        const Map map(net, n + 1);
        to.biases[n + 1].assign(map.size(), 0);
        for (int y = 0; y < map.height; y++)
            for (int x = 0; x < map.width; x++)
                std::copy(bias.begin(), bias.end(), to.biases[n + 1].begin() + map.neuron(y, x));
        if (n) to.synapses.emplace_back(net, n);
        else to.image = image_pairs(b, pre, post, copies[n]);
    }
    return to;
}

// Call work(thread) for 0 .. most - 1, each on a thread of its own. Those that can't be started are left out,
// but for the caller's, 0.
template <typename Work> void in_parallel(int64_t most, const Work &work) {
    std::vector<std::thread> pool;
    pool.reserve(most);
    try {
        for (int64_t t = 1; t < most; t++) pool.emplace_back(work, t);
    } catch (const std::system_error &) {
    } catch (const std::bad_alloc &) {
    }
    work(0);
    for (auto &thread : pool) thread.join();
}

// Call work(task) for 0 .. tasks - 1 on several threads; false if memory ran out.
template <typename Work> bool share(int64_t threads, int tasks, const Work &work) {
    std::atomic<int> next{0};
    std::atomic<bool> done{true};
    in_parallel(std::min<int64_t>(threads, tasks), [&](int64_t) noexcept {
        try {
            for (int task; (task = next++) < tasks;) work(task);
        } catch (const std::bad_alloc &) {
            done = false;
        }
    });
    return done;
}

// A thread's state and sums; none if there was no memory for it.
struct Worker {
    Sample sample;
    Updates updates;
    std::vector<int64_t> spikes;
    std::vector<Vector<int64_t>> read; // per bundle
    std::vector<int64_t *> to_read;

    Worker(const Network &net, const Weights &weights) : sample(net, weights), updates(net), spikes(net.bundles + 1) {
        for (int n = 0; n < net.bundles; n++) read.emplace_back(net.layers[n].channels, 0);
        for (auto &each : read) to_read.push_back(each.data());
    }
};

} // namespace

// weights, biases: masters of each bundle, in torch's order; updates have the same order. labels: null for
// inference. threads: at most; those that can't be started are left out. The updates are added to the arrays,
// and so is `read`, one array per bundle, or null unless commits are centred. Returns the number of threads
// that took part, or -1 if memory ran out; then the outputs are invalid.
extern "C" int32_t nudge_run(const Network *net, const int64_t *const *weights, const int64_t *const *biases,
                             const uint8_t *images, const int64_t *labels, int64_t count, int64_t threads,
                             int64_t *predictions, int64_t *spikes, int64_t *const *weight_updates,
                             int64_t *const *bias_updates, int64_t *const *read) try {
    Vector<int8_t> copies[16];
    Weights own = working_copies(*net, weights, biases, copies);
    const int64_t most = std::max<int64_t>(1, std::min(threads, count)), pixels = net->layers[0].neurons();
    if (!share(most, 2 * (net->bundles - 1), [&](int task) {
            Synapses &to = own.synapses[task / 2];
            const int8_t *const w = copies[task / 2 + 1].data();
            task % 2 ? to.fill_forward(w) : to.fill_backward(w);
        }))
        return -1;
    std::atomic<int64_t> next{0}, done{0};
    std::vector<std::unique_ptr<Worker>> workers(most);
    in_parallel(most, [&](int64_t thread) noexcept {
        try {
            workers[thread] = std::make_unique<Worker>(*net, own);
        } catch (const std::bad_alloc &) {
            return;
        }
        Worker &worker = *workers[thread];
        for (int64_t i; (i = next++) < count; done++) {
            worker.sample.run(images + i * pixels, labels ? labels[i] : -1);
            predictions[i] = worker.sample.prediction();
            for (int n = 1; n <= net->bundles; n++) worker.spikes[n] += worker.sample.spikes[n];
            if (labels) worker.updates.add(worker.sample);
            if (read) worker.sample.add_read(worker.to_read.data());
        }
    });
    if (done < count) return -1;
    workers.erase(std::remove(workers.begin(), workers.end(), nullptr), workers.end());
    share(labels ? most : 0, labels ? net->bundles : 0, [&](int n) {
        for (const auto &worker : workers) worker->updates.add_to(n, weight_updates[n], bias_updates[n]);
    });
    for (const auto &worker : workers)
        for (int n = 0; n < net->bundles; n++) {
            spikes[n] += worker->spikes[n + 1];
            for (int c = 0; read && c < net->layers[n].channels; c++) read[n][c] += worker->read[n][c];
        }
    return static_cast<int32_t>(workers.size());
} catch (const std::bad_alloc &) {
    return -1;
}
