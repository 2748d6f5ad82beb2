// golden.model.fixed as one compiled loop: equal bits, LANES samples side by side, one thread for each group of them.
//
// The batch is the innermost dimension: LANES samples are one vector (GCC and Clang split it into what the processor has).
// Spikes and weights are bytes, four neurons to the 32-bit word of a lane, because processors have an instruction for
// four such products and their sum (VPDPBUSD, "dot product of bytes"). Everything else is int32, an update int64 until its
// one shift. golden/model/native.py checks the bounds behind that and says what the arguments are.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16;
constexpr int BLOCK = 8;  // outputs that share one load of an input: they stay in registers
constexpr int PHASES = 3; // free, plus, minus

enum Kind { IMAGE, CONV, DENSE };

// The C side of golden/model/native.py's structures; the order and types must agree.
struct Layer {
    int32_t channels, height, width;
    int neurons() const { return channels * height * width; }
    int positions() const { return height * width; }
    // Words of four neurons: of channels 4q .. 4q+3 at one of `inner` positions, channels innermost.
    int words(int inner) const { return (channels + 3) / 4 * inner; }
};

struct Bundle {
    int32_t kind, kernel, weight_shift, weight_rate, bias_rate;
};

struct Network {
    int32_t bundles, classes, window, decay_shift, free_steps, nudged_steps, beta;
    int32_t drive_shift, round_shift, nudge_shift, static_shift, bias_shift, one_bits, threshold;
    int32_t decoder_low, decoder_high, update_bound;
    Layer layers[16];
    Bundle bundle[16];
};

// Memory that is kept for the next batch: fresh memory costs a page fault for each page, a third of a small batch's time.
template <typename T> struct Kept {
    using value_type = T;
    static constexpr size_t ALIGN = 4 * LANES;
    Kept() = default;
    template <typename U> Kept(const Kept<U> &) {}

    static std::mutex &lock() {
        static std::mutex mutex;
        return mutex;
    }
    static std::multimap<size_t, void *> &free_blocks() { // never destroyed: threads may outlive static objects
        static auto *blocks = new std::multimap<size_t, void *>;
        return *blocks;
    }
    static size_t bytes(size_t n) { return (n * sizeof(T) + ALIGN - 1) / ALIGN * ALIGN; }

    T *allocate(size_t n) {
        std::lock_guard guard(lock());
        const auto found = free_blocks().find(bytes(n));
        if (found == free_blocks().end()) {
            void *made = std::aligned_alloc(ALIGN, bytes(n));
            if (!made) throw std::bad_alloc();
            return static_cast<T *>(made);
        }
        void *block = found->second;
        free_blocks().erase(found);
        return static_cast<T *>(block);
    }
    void deallocate(T *block, size_t n) noexcept {
        std::lock_guard guard(lock());
        try {
            free_blocks().emplace(bytes(n), block);
        } catch (const std::bad_alloc &) {
            std::free(block);
        }
    }
    friend bool operator==(const Kept &, const Kept &) { return true; }
    friend bool operator!=(const Kept &, const Kept &) { return false; }
};
template <typename T> using Vector = std::vector<T, Kept<T>>;

using Int = int32_t __attribute__((vector_size(4 * LANES)));
using Long = int64_t __attribute__((vector_size(8 * LANES)));
using Ints = Vector<Int>;

inline Int clip(Int x, int32_t low, int32_t high) {
    x = x < low ? Int{} + low : x;
    return x > high ? Int{} + high : x;
}

// Sum over the lanes, by halves: compilers make scalars of a loop.
inline int32_t lane_sum(Int x) {
    static_assert(LANES == 16);
    x += __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    x += __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    return x[0] + x[1] + x[2] + x[3];
}

int blocks(int n, int of) { return (n + of - 1) / of; }

// acc + sum over the four bytes of a lane of s (0..4) times those of w (-128..127). All three forms are exact.
inline Int dot(Int acc, Int s, int32_t w) {
#if defined(__AVX512VNNI__)
    return (Int)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)s, _mm512_set1_epi32(w));
#elif defined(__AVX2__)
    __m256i in[2], out[2]; // two products are at most 2 * 4 * 128 and don't saturate the 16 bits of the first instruction
    std::memcpy(in, &s, sizeof s);
    for (int h = 0; h < 2; h++)
        out[h] = _mm256_madd_epi16(_mm256_maddubs_epi16(in[h], _mm256_set1_epi32(w)), _mm256_set1_epi16(1));
    Int sums;
    std::memcpy(&sums, out, sizeof sums);
    return acc + sums;
#else
    for (int j = 0; j < 4; j++) acc += (s >> 8 * j & 255) * static_cast<int8_t>(w >> 8 * j);
    return acc;
#endif
}

// Working weights in the order in which a loop reads them: for each BLOCK of outputs, for each input word, BLOCK words.
struct Kernel {
    int words;
    Vector<int32_t> block;

    // The weight of output o from channel c at inner position x: w[o * per_output + c * per_channel + x].
    Kernel(const int32_t *w, int outputs, size_t per_output, int channels, size_t per_channel, int inner) {
        words = blocks(channels, 4) * inner;
        block.assign(static_cast<size_t>(blocks(outputs, BLOCK)) * words * BLOCK, 0);
        for (int o = 0; o < outputs; o++) {
            int32_t *to = block.data() + static_cast<size_t>(o / BLOCK) * words * BLOCK + o % BLOCK;
            for (int q = 0; q < channels; q += 4) {
                const int32_t *from = w + o * per_output + q * per_channel;
                for (int x = 0; x < inner; x++, from++, to += BLOCK) {
                    uint32_t word = 0;
                    for (int j = 0; j < std::min(4, channels - q); j++) word |= (from[j * per_channel] & 255u) << 8 * j;
                    *to = static_cast<int32_t>(word);
                }
            }
        }
    }

    // acc[j] = drive of output first + j; input(n) is the word of four neurons. `first` is a multiple of BLOCK.
    template <typename Input> void drive(Int (&acc)[BLOCK], int first, Input input) const {
        Int a[BLOCK] = {};
        const int32_t *w = block.data() + static_cast<size_t>(first) * words;
        for (int n = 0; n < words; n++, w += BLOCK) {
            const Int in = input(n);
            for (int j = 0; j < BLOCK; j++) a[j] = dot(a[j], in, w[j]);
        }
        std::copy(a, a + BLOCK, acc);
    }
};

// Both directions of a bundle. Bundle 1 reads pixels, which are no bytes once they are box-summed: it has no kernels.
struct Kernels {
    Kernel forward, backward;

    // Positions of a pre channel that a weight tells apart.
    static int inner(const Bundle &b, const Layer &pre) { return b.kind == DENSE ? pre.positions() : b.kernel * b.kernel; }

    Kernels(const Bundle &b, const Layer &pre, const Layer &post, const int32_t *w)
        : forward(w, b.kind == IMAGE ? 0 : post.channels, pre.channels * inner(b, pre), pre.channels, inner(b, pre), inner(b, pre)),
          backward(w, b.kind == IMAGE ? 0 : pre.channels * inner(b, pre), 1, post.channels, pre.channels * inner(b, pre), 1) {}
};

// 2x2 sums at stride 1 of planes (h, w): what one pooled position sees through one tap.
void box_sums(const Layer &layer, int planes, const Ints &in, Ints &out) {
    const int h = layer.height, w = layer.width;
    out.resize(static_cast<size_t>(planes) * (h - 1) * (w - 1));
    Int *to = out.data();
    for (int c = 0; c < planes; c++)
        for (int y = 0; y + 1 < h; y++)
            for (int x = 0; x + 1 < w; x++) {
                const Int *a = in.data() + (c * h + y) * w + x;
                *to++ = a[0] + a[1] + a[w] + a[w + 1];
            }
}

// LANES samples: their state, and all that the phases do to it.
struct Group {
    struct State {
        Ints d, u, xi, phi; // of each neuron
        Ints s;             // of four neurons: word (quad, position)
    };

    const Network &net;
    const std::vector<Kernels> &kernels;
    const int32_t *weights, *biases;
    std::vector<State> layers, kept;
    std::vector<Ints> sums[PHASES];
    Ints static_drive, boxes, taps, images, pre_boxes[2], target;
    std::vector<Long> spikes; // of each layer
    Int present;              // all ones in the lanes that hold a sample

    Group(const Network &n, const std::vector<Kernels> &k, const int32_t *w, const int32_t *b)
        : net(n), kernels(k), weights(w), biases(b) {
        layers.resize(net.bundles + 1);
        for (int n = 0; n <= net.bundles; n++) {
            const size_t size = net.layers[n].neurons();
            State &state = layers[n];
            for (Ints *x : {&state.d, &state.u, &state.xi, &state.phi}) x->resize(size);
            state.s.resize(net.layers[n].words(net.layers[n].positions()));
            for (auto &sum : sums) sum.emplace_back(size);
        }
        spikes.resize(net.bundles + 1);
        target.resize(net.classes);
        images.resize(net.layers[0].positions());
    }

    void begin(const uint8_t *image, const int64_t *labels, int count) {
        const size_t size = images.size();
        for (int l = 0; l < LANES; l++) present[l] = l < count ? -1 : 0;
        for (size_t i = 0; i < size; i++) {
            images[i] = Int{};
            for (int l = 0; l < count; l++) images[i][l] = image[l * size + i];
        }
        std::fill(target.begin(), target.end(), Int{});
        if (labels)
            for (int l = 0; l < count; l++) target[labels[l]][l] = 1 << net.one_bits;
        for (auto &state : layers)
            for (Ints *x : {&state.d, &state.u, &state.xi, &state.s}) std::fill(x->begin(), x->end(), Int{});
        std::fill(spikes.begin(), spikes.end(), Long{});
        image_drive();
    }

    // Once for each sample: the first bundle's drive, rounded to phi's LSB.
    void image_drive() {
        const Layer &pre = net.layers[0], &post = net.layers[1];
        const int k = net.bundle[0].kernel, row = pre.width - 1;
        box_sums(pre, 1, images, boxes);
        static_drive.resize(post.neurons());
        Int *to = static_drive.data();
        for (int o = 0; o < post.channels; o++)
            for (int py = 0; py < post.height; py++)
                for (int px = 0; px < post.width; px++) {
                    Int sum = Int{} + (1 << (net.static_shift - 1));
                    for (int tap = 0; tap < k * k; tap++)
                        sum += weights[o * k * k + tap] * boxes[(2 * py + tap / k) * row + 2 * px + tap % k];
                    *to++ = sum >> net.static_shift;
                }
    }

    // phi[o][p] += sum of w * box sums, one stride-2 window a position.
    void conv_forward(int n, const Ints &s, Ints &phi) {
        const Layer &pre = net.layers[n], &post = net.layers[n + 1];
        const int k = net.bundle[n].kernel, row = pre.width - 1, plane = (pre.height - 1) * row, quads = pre.words(1);
        box_sums(pre, quads, s, boxes);
        std::vector<int> offset;
        for (int q = 0; q < quads; q++)
            for (int tap = 0; tap < k * k; tap++) offset.push_back(q * plane + tap / k * row + tap % k);
        for (int py = 0; py < post.height; py++)
            for (int px = 0; px < post.width; px++) {
                const Int *at = boxes.data() + 2 * py * row + 2 * px;
                for (int o = 0; o < post.channels; o += BLOCK) {
                    Int acc[BLOCK];
                    kernels[n].forward.drive(acc, o, [&](int i) { return at[offset[i]]; });
                    Int *to = phi.data() + o * post.positions() + py * post.width + px;
                    for (int j = 0; j < std::min(BLOCK, post.channels - o); j++) to[j * post.positions()] += acc[j];
                }
            }
    }

    // The transpose: k*k tap sums for each pooled position, folded to the (k+1)*(k+1) positions that it sees.
    void conv_backward(int n, const Ints &s, Ints &phi) {
        const Layer &pre = net.layers[n], &post = net.layers[n + 1];
        const int k = net.bundle[n].kernel, count = pre.channels * k * k, plane = post.positions();
        taps.resize(blocks(count, BLOCK) * BLOCK);
        for (int py = 0; py < post.height; py++)
            for (int px = 0; px < post.width; px++) {
                const Int *at = s.data() + py * post.width + px;
                for (int i = 0; i < count; i += BLOCK) {
                    Int acc[BLOCK];
                    kernels[n].backward.drive(acc, i, [&](int q) { return at[q * plane]; });
                    std::copy(acc, acc + BLOCK, taps.data() + i);
                }
                for (int c = 0; c < pre.channels; c++) {
                    const Int *tap = taps.data() + c * k * k;
                    Int *to = phi.data() + (c * pre.height + 2 * py) * pre.width + 2 * px;
                    fold(tap, k, to, pre.width);
                }
            }
    }

    // to[y][x] += sum of the taps at (y, x), (y - 1, x), (y, x - 1), (y - 1, x - 1): columns first, then rows.
    static void fold(const Int *tap, int k, Int *to, int row) {
        for (int x = 0; x <= k; x++) {
            Int above = {};
            for (int y = 0; y <= k; y++) {
                Int here = {};
                if (y < k && x < k) here += tap[y * k + x];
                if (y < k && x > 0) here += tap[y * k + x - 1];
                to[y * row + x] += here + above;
                above = here;
            }
        }
    }

    // The 4 brings dense drives from the weights' LSB to phi's; pooling brings it by itself.
    static void dense(const Kernel &kernel, const Ints &s, Ints &phi) {
        const int outputs = static_cast<int>(phi.size());
        for (int o = 0; o < outputs; o += BLOCK) {
            Int acc[BLOCK];
            kernel.drive(acc, o, [&](int i) { return s[i]; });
            for (int j = 0; j < std::min(BLOCK, outputs - o); j++) phi[o + j] += acc[j] << 2;
        }
    }

    // All layers together; `window`: xi counts for the sums of phase `which`.
    void step(int which, int sign, bool window) {
        layers[1].phi = static_drive;
        for (int n = 2; n <= net.bundles; n++) std::fill(layers[n].phi.begin(), layers[n].phi.end(), Int{});
        for (int n = 1; n < net.bundles; n++) { // this bundle joins layers n and n + 1
            State &pre = layers[n], &post = layers[n + 1];
            if (net.bundle[n].kind == CONV) {
                conv_forward(n, pre.s, post.phi);
                conv_backward(n, post.s, pre.phi);
            } else {
                dense(kernels[n].forward, pre.s, post.phi);
                dense(kernels[n].backward, post.s, pre.phi);
            }
        }
        const int32_t *bias = biases;
        for (int n = 1; n <= net.bundles; bias += net.layers[n].channels, n++) {
            State &state = layers[n];
            Ints *const total = window ? &sums[which][n] : nullptr;
            const int positions = net.layers[n].positions(), channels = net.layers[n].channels;
            const bool nudged = sign && n == net.bundles;
            Int fired = {};
            std::fill(state.s.begin(), state.s.end(), Int{});
            for (int c = 0; c < channels; c++)
                for (int p = 0; p < positions; p++) {
                    const int i = c * positions + p;
                    Int offset = Int{} + (bias[c] + (1 << (net.round_shift - 1)));
                    if (nudged) offset += (sign * net.beta * (target[i] - state.xi[i])) >> net.nudge_shift;
                    const Int spike = neuron(state, i, offset);
                    state.s[c / 4 * positions + p] |= spike << c % 4 * 8;
                    fired += spike;
                    if (total) (*total)[i] += state.xi[i];
                }
            spikes[n] += __builtin_convertvector(fired, Long);
        }
    }

    // offset: bias, nudge and the half of the rounding. The result is 1 where a neuron fired.
    inline Int neuron(State &state, int i, Int offset) {
        const Int old = state.d[i];
        const Int d = clip(old + (((state.phi[i] << net.drive_shift) - old) >> net.decay_shift), net.decoder_low, net.decoder_high);
        const Int xi = clip((d + offset) >> net.round_shift, 0, 1 << net.one_bits);
        const Int spike = (state.u[i] + (xi << net.decay_shift) > net.threshold) & 1;
        state.d[i] = d;
        state.u[i] += xi - (spike << net.one_bits);
        state.xi[i] = xi;
        return spike;
    }

    void phase(int which, int steps, int sign) {
        for (auto &sum : sums[which]) std::fill(sum.begin(), sum.end(), Int{});
        for (int t = 0; t < steps; t++) step(which, sign, t >= steps - net.window);
    }

    void run(bool training) {
        phase(0, net.free_steps, 0);
        if (!training) return;
        kept = layers;
        phase(1, net.nudged_steps, 1);
        layers.swap(kept);
        phase(2, net.nudged_steps, -1);
    }

    int prediction(int lane) const {
        const Ints &scores = sums[0][net.bundles];
        int best = 0;
        for (int o = 1; o < net.classes; o++)
            if (scores[o][lane] > scores[best][lane]) best = o;
        return best;
    }

    // One rounding and one clip for each sample, then the sum over samples. Empty lanes give 0 from g = 0.
    int64_t update(Int g, int rate, int shift) const {
        const Long exact = (__builtin_convertvector(g & present, Long) * rate + (int64_t{1} << (shift - 1))) >> shift;
        return lane_sum(clip(__builtin_convertvector(exact, Int), -net.update_bound, net.update_bound));
    }

    void updates(int64_t *weights, int64_t *bias_updates) {
        for (int n = 0; n < net.bundles; n++) {
            const Bundle &b = net.bundle[n];
            const Layer &pre = net.layers[n], &post = net.layers[n + 1];
            const Int *plus = sums[1][n + 1].data(), *minus = sums[2][n + 1].data();
            const int positions = post.positions();
            for (int o = 0; o < post.channels; o++) {
                Int g = {};
                for (int i = o * positions; i < (o + 1) * positions; i++) g += plus[i] - minus[i];
                *bias_updates++ += update(g, b.bias_rate, net.bias_shift);
            }
            if (b.kind == DENSE) {
                const Int *pre_plus = sums[1][n].data(), *pre_minus = sums[2][n].data();
                for (int o = 0; o < post.channels; o++)
                    for (int i = 0; i < pre.neurons(); i++)
                        *weights++ += update(pre_plus[i] * plus[o] - pre_minus[i] * minus[o], b.weight_rate, b.weight_shift);
                continue;
            }
            box_sums(pre, pre.channels, n ? sums[1][n] : images, pre_boxes[0]);
            if (n) box_sums(pre, pre.channels, sums[2][n], pre_boxes[1]);
            const Int *pre_plus = pre_boxes[0].data(), *pre_minus = pre_boxes[n ? 1 : 0].data();
            const int row = pre.width - 1, plane = (pre.height - 1) * row;
            for (int o = 0; o < post.channels; o++)
                for (int c = 0; c < pre.channels; c++)
                    for (int ky = 0; ky < b.kernel; ky++)
                        for (int kx = 0; kx < b.kernel; kx++) {
                            Int g = {};
                            for (int py = 0; py < post.height; py++)
                                for (int px = 0; px < post.width; px++) {
                                    int from = c * plane + (2 * py + ky) * row + 2 * px + kx;
                                    int to = o * positions + py * post.width + px;
                                    g += pre_plus[from] * plus[to] - pre_minus[from] * minus[to];
                                }
                            *weights++ += update(g, b.weight_rate, b.weight_shift);
                        }
        }
    }
};

// A batch of samples in groups of LANES, and what its threads add up: each takes the next group until none is left.
struct Batch {
    const Network &net;
    const int32_t *weights, *biases;
    const uint8_t *images;
    const int64_t *labels;
    int64_t count, groups;
    std::vector<Kernels> kernels;
    int64_t weight_count = 0, bias_count = 0;
    int64_t *predictions;
    std::atomic<int64_t> next{0}, done{0};

    Batch(const Network &n, const int32_t *w, const int32_t *b, const uint8_t *i, const int64_t *l, int64_t c, int64_t *p)
        : net(n), weights(w), biases(b), images(i), labels(l), count(c), groups((c + LANES - 1) / LANES), predictions(p) {
        for (int n = 0; n < net.bundles; n++) {
            const Layer &pre = net.layers[n], &post = net.layers[n + 1];
            const Bundle &bundle = net.bundle[n];
            kernels.emplace_back(bundle, pre, post, weights + weight_count);
            weight_count += static_cast<int64_t>(post.channels) *
                            (bundle.kind == DENSE ? pre.neurons() : pre.channels * bundle.kernel * bundle.kernel);
            bias_count += post.channels;
        }
    }

    // One thread's share. totals: its spikes, weight updates and bias updates. Without memory it ends early, and where that
    // was in the midst of a group, `done` stays below `groups`.
    void work(Vector<int64_t> &totals) noexcept try {
        Vector<int64_t> sums(net.bundles + weight_count + bias_count, 0);
        Group group(net, kernels, weights, biases);
        totals.swap(sums);
        const int64_t pixels = net.layers[0].positions();
        for (int64_t g = next++; g < groups; g = next++) {
            int64_t first = g * LANES;
            int lanes = static_cast<int>(std::min<int64_t>(LANES, count - first));
            group.begin(images + first * pixels, labels ? labels + first : nullptr, lanes);
            group.run(labels != nullptr);
            for (int l = 0; l < lanes; l++) predictions[first + l] = group.prediction(l);
            for (int n = 1; n <= net.bundles; n++)
                for (int l = 0; l < lanes; l++) totals[n - 1] += group.spikes[n][l];
            if (labels) group.updates(&totals[net.bundles], &totals[net.bundles + weight_count]);
            done++;
        }
    } catch (const std::bad_alloc &) {
    }
};

} // namespace

// weights, biases: working copies in torch's order, bundle after bundle. labels: null for inference. threads: at most; those
// that can't be started are done without. Updates are added to.
// The result: how many threads took part, or -1 if memory ran out; then only `predictions` has been written to.
extern "C" int32_t nudge_run(const Network *net, const int32_t *weights, const int32_t *biases, const uint8_t *images,
                             const int64_t *labels, int64_t count, int64_t threads, int64_t *predictions, int64_t *spikes,
                             int64_t *weight_updates, int64_t *bias_updates) try {
    Batch batch(*net, weights, biases, images, labels, count, predictions);
    std::vector<Vector<int64_t>> own(std::max<int64_t>(1, std::min(threads, batch.groups)));
    std::vector<std::thread> pool;
    pool.reserve(own.size());
    try {
        for (size_t t = 1; t < own.size(); t++) pool.emplace_back(&Batch::work, &batch, std::ref(own[t]));
    } catch (const std::system_error &) { // no more threads to be had: those that started do it
    } catch (const std::bad_alloc &) {
    }
    batch.work(own[0]);
    for (auto &thread : pool) thread.join();
    if (batch.done < batch.groups) return -1;
    int32_t worked = 0;
    for (auto &totals : own) {
        if (totals.empty()) continue;
        worked++;
        for (int n = 0; n < net->bundles; n++) spikes[n] += totals[n];
        for (int64_t i = 0; i < batch.weight_count; i++) weight_updates[i] += totals[net->bundles + i];
        for (int64_t i = 0; i < batch.bias_count; i++) bias_updates[i] += totals[net->bundles + batch.weight_count + i];
    }
    return worked;
} catch (const std::bad_alloc &) {
    return -1;
}
