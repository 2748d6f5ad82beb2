// golden.model.batch as one compiled loop: equal bits, LANES samples at a time, one or several threads per
// group of LANES.
//
// The batch is the innermost dimension: LANES samples are one vector. Spikes and weights are bytes, four
// neurons per 32-bit word of a lane, because processors have an instruction for four such products and their
// sum (VPDPBUSD, "dot product of bytes"). Everything else is int32; an update is int64 until its one shift.
// golden/model/native.py checks the bounds that make this exact, and describes the arguments.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "batch.h"
#include "network.h"
#include "team.h"

namespace {

void add(int64_t *const *to, const std::vector<int64_t *> &from, const std::vector<int64_t> &counts) {
    for (size_t n = 0; n < counts.size(); n++)
        for (int64_t i = 0; i < counts[n]; i++) to[n][i] += from[n][i];
}

} // namespace

// weights, biases: masters of each bundle, in torch's order; updates have the same order. labels: null for
// inference. threads: at most; those that can't be started are left out. The updates are added to the arrays,
// and so is `read`, one array per bundle, or null unless commits are centred. Returns the number of threads
// that took part, or -1 if memory ran out; then the outputs are invalid.
extern "C" int32_t nudge_run(const Network *net, const int64_t *const *weights, const int64_t *const *biases,
                             const uint8_t *images, const int64_t *labels, int64_t count, int64_t threads, int64_t *predictions,
                             int64_t *spikes, int64_t *const *weight_updates, int64_t *const *bias_updates,
                             int64_t *const *read) try {
    Batch batch(*net, weights, biases, images, labels, count, predictions, read != nullptr);
    const int64_t most = std::max<int64_t>(1, std::min(threads, batch.groups * Team::most(*net)));
    std::vector<std::unique_ptr<Crew>> crews;
    std::vector<std::thread> pool;
    std::mutex begun; // threads wait until their number is known
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
    } catch (const std::system_error &) { // no more threads are available: those that started do the work
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
