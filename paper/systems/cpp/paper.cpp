// The functions that paper/systems/compiled.py calls; it documents the arguments.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "averages.h"
#include "gradient.h"
#include "group.h"
#include "settling.h"

namespace {

template <typename Work> void work(Shared &shared, typename Work::Out out) noexcept try {
    Work one(shared, out);
    for (int64_t from = shared.next.fetch_add(shared.size); from < shared.count; from = shared.next.fetch_add(shared.size)) {
        one.run(from);
        shared.done++;
    }
} catch (const std::bad_alloc &) {
}

template <typename Work> bool run(Shared &shared, typename Work::Out out, int64_t threads) {
    const int64_t groups = (shared.count + shared.size - 1) / shared.size;
    std::vector<std::thread> pool;
    try {
        for (int64_t t = 1; t < std::min(threads, groups); t++) pool.emplace_back(work<Work>, std::ref(shared), out);
    } catch (const std::system_error &) { // no more threads available: those that started do the work
    } catch (const std::bad_alloc &) {
    }
    work<Work>(shared, out);
    for (auto &thread : pool) thread.join();
    return shared.done == groups;
}

std::vector<Joint> joined(const Task &task, const float *const *weights, bool across) {
    std::vector<Joint> joints;
    for (int n = 0; n < task.links; n++)
        joints.emplace_back(task.link[n], task.layers[n], task.layers[n + 1], weights[n], across);
    return joints;
}

bool all_dense(const Task &task) {
    return std::all_of(task.link, task.link + task.links, [](const Link &link) { return link.kind == DENSE; });
}

} // namespace

// All functions return 0, or -1 if memory ran out.
extern "C" int32_t paper_averages(const Task *task, const float *const *weights, const float *const *biases, const float *images,
                                  const int64_t *labels, const int32_t *signs, const float *prediction, const float *rate,
                                  int64_t count, int64_t threads, float *const *out) try {
    const int64_t share = (count + std::max<int64_t>(1, threads) - 1) / std::max<int64_t>(1, threads);
    // two vectors of samples per weight if there are enough samples for all threads
    const bool pairs = share > LANES;
    const int64_t full = (pairs ? 2 : 1) * LANES;
    const bool across = all_dense(*task) && share < full && Across::better(share);
    const int64_t size = across ? Across::rounded(share, Across::SAMPLES) : full;
    Shared shared{*task, joined(*task, weights, across), {}, weights, biases, images, labels, signs, prediction, rate, count, size};
    return (pairs ? run<Averages<2>>(shared, out, threads) : run<Averages<1>>(shared, out, threads)) ? 0 : -1;
} catch (const std::bad_alloc &) {
    return -1;
}

extern "C" int32_t paper_settling(const Task *task, const float *const *weights, const float *const *biases, const float *images,
                                  const int64_t *labels, const int32_t *signs, const float *prediction, const float *rate,
                                  int64_t count, int64_t threads, float *const *out) try {
    Shared shared{*task, {}, {}, weights, biases, images, labels, signs, prediction, rate, count, 1};
    for (int n = 0; n < task->links; n++)
        shared.maxima.emplace_back(task->link[n], task->layers[n], task->layers[n + 1], weights[n]);
    return run<Settling>(shared, out, threads) ? 0 : -1;
} catch (const std::bad_alloc &) {
    return -1;
}

extern "C" int32_t paper_gradient(const Task *task, const float *const *weights, const float *const *biases, const float *images,
                                  const int64_t *labels, const float *prediction, const float *rate, int64_t count,
                                  int64_t threads, float *last, float *const *sent, float *const *drives,
                                  float *const *of_biases) try {
    Shared shared{*task, joined(*task, weights, false), {}, weights, biases, images, labels, nullptr, prediction, rate, count, LANES};
    return run<Gradient<1>>(shared, {last, sent, drives, of_biases}, threads) ? 0 : -1;
} catch (const std::bad_alloc &) {
    return -1;
}
