// golden.fixed as one compiled loop: equal bits, LANES samples side by side, one thread for each group of them.
//
// The batch is the innermost dimension: LANES samples are one vector (GCC and Clang split it into what the processor has).
// Drives are float32 sums of integers below 2^24, and so exact in any order; g fits in 32 bits, an update in 64 until its
// one shift. golden/native.py checks these bounds and says what the arguments are.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace {

constexpr int LANES = 16;
constexpr int BLOCK = 8;  // outputs that share one load of an input: they stay in registers
constexpr int PHASES = 3; // free, plus, minus

enum Kind { IMAGE, CONV, DENSE };

// The C side of golden/native.py's structures; the order and types must agree.
struct Layer {
    int32_t channels, height, width;
    int neurons() const { return channels * height * width; }
    int positions() const { return height * width; }
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

using Float = float __attribute__((vector_size(4 * LANES)));
using Int = int32_t __attribute__((vector_size(4 * LANES)));
using Long = int64_t __attribute__((vector_size(8 * LANES)));
using Floats = std::vector<Float>;
using Ints = std::vector<Int>;

inline Int clip(Int x, int32_t low, int32_t high) {
    x = x < low ? Int{} + low : x;
    return x > high ? Int{} + high : x;
}

int round_up(int n, int to) { return (n + to - 1) / to * to; }

// acc[j] += sum over n of kernel[n][j] * input(n), for BLOCK values of j.
template <typename Input> inline void accumulate(Float (&acc)[BLOCK], const float *kernel, int stride, int count, Input input) {
    Float a[BLOCK];
    std::copy(acc, acc + BLOCK, a);
    for (int n = 0; n < count; n++) {
        const Float in = input(n);
        const float *w = kernel + static_cast<size_t>(n) * stride;
        for (int j = 0; j < BLOCK; j++) a[j] += w[j] * in;
    }
    std::copy(a, a + BLOCK, acc);
}

// Working weights in the two orders in which the loops read them, padded with zeros to whole blocks.
struct Kernels {
    int forward_stride = 0, backward_stride = 0;
    std::vector<float> forward;  // [pre tap][post]; a pre tap is (channel, ky, kx), or a neuron
    std::vector<float> backward; // [post][pre tap]

    Kernels(const Bundle &b, const Layer &pre, const Layer &post, const int32_t *w) {
        int taps = b.kind == DENSE ? pre.neurons() : pre.channels * b.kernel * b.kernel;
        float scale = b.kind == DENSE ? 4.0f : 1.0f; // from the weights' LSB to phi's; pooling brings the 4 by itself
        forward_stride = round_up(post.channels, BLOCK);
        backward_stride = round_up(taps, BLOCK);
        forward.assign(static_cast<size_t>(taps) * forward_stride, 0);
        backward.assign(static_cast<size_t>(post.channels) * backward_stride, 0);
        for (int o = 0; o < post.channels; o++)
            for (int i = 0; i < taps; i++) {
                float value = scale * static_cast<float>(w[static_cast<size_t>(o) * taps + i]);
                forward[static_cast<size_t>(i) * forward_stride + o] = value;
                backward[static_cast<size_t>(o) * backward_stride + i] = value;
            }
    }
};

// 2x2 sums at stride 1 of (c, h, w): what one pooled position sees through one tap.
template <typename T> void box_sums(const Layer &layer, const std::vector<T> &in, std::vector<T> &out) {
    const int h = layer.height, w = layer.width;
    out.resize(static_cast<size_t>(layer.channels) * (h - 1) * (w - 1));
    T *to = out.data();
    for (int c = 0; c < layer.channels; c++)
        for (int y = 0; y + 1 < h; y++)
            for (int x = 0; x + 1 < w; x++) {
                const T *a = in.data() + (c * h + y) * w + x;
                *to++ = a[0] + a[1] + a[w] + a[w + 1];
            }
}

// LANES samples: their state, and all that the phases do to it.
struct Group {
    struct State {
        Ints d, u, xi;
        Floats s, phi;
    };

    const Network &net;
    const std::vector<Kernels> &kernels;
    const int32_t *biases;
    std::vector<State> layers, kept;
    std::vector<Ints> sums[PHASES];
    Floats static_drive, boxes, taps;
    Ints images, pre_boxes[2], target;
    std::vector<Long> spikes; // of each layer

    Group(const Network &n, const std::vector<Kernels> &k, const int32_t *b) : net(n), kernels(k), biases(b) {
        layers.resize(net.bundles + 1);
        for (int n = 0; n <= net.bundles; n++) {
            const size_t size = net.layers[n].neurons();
            State &state = layers[n];
            state.d.resize(size), state.u.resize(size), state.xi.resize(size), state.s.resize(size), state.phi.resize(size);
            for (auto &sum : sums) sum.emplace_back(size);
        }
        spikes.resize(net.bundles + 1);
        target.resize(net.classes);
        images.resize(net.layers[0].positions());
    }

    void begin(const uint8_t *image, const int64_t *labels, int count) {
        const size_t size = images.size();
        Floats pixels(size);
        for (size_t i = 0; i < size; i++) {
            images[i] = Int{};
            for (int l = 0; l < count; l++) images[i][l] = image[l * size + i];
            pixels[i] = __builtin_convertvector(images[i], Float);
        }
        std::fill(target.begin(), target.end(), Int{});
        if (labels)
            for (int l = 0; l < count; l++) target[labels[l]][l] = 1 << net.one_bits;
        for (auto &state : layers) {
            for (Ints *x : {&state.d, &state.u, &state.xi}) std::fill(x->begin(), x->end(), Int{});
            std::fill(state.s.begin(), state.s.end(), Float{});
        }
        std::fill(spikes.begin(), spikes.end(), Long{});
        static_drive.assign(layers[1].phi.size(), Float{});
        conv_forward(0, pixels, static_drive);
        for (Float &x : static_drive)
            x = __builtin_convertvector((to_int(x) + (1 << (net.static_shift - 1))) >> net.static_shift, Float);
    }

    static Int to_int(Float x) { return __builtin_convertvector(x, Int); }

    // phi[o][p] += sum of w * box sums, one stride-2 window a position.
    void conv_forward(int n, const Floats &s, Floats &phi) {
        const Layer &pre = net.layers[n], &post = net.layers[n + 1];
        const int k = net.bundle[n].kernel, row = pre.width - 1, plane = (pre.height - 1) * row;
        box_sums(pre, s, boxes);
        std::vector<int> offset;
        for (int c = 0; c < pre.channels; c++)
            for (int ky = 0; ky < k; ky++)
                for (int kx = 0; kx < k; kx++) offset.push_back(c * plane + ky * row + kx);
        const int count = static_cast<int>(offset.size());
        for (int py = 0; py < post.height; py++)
            for (int px = 0; px < post.width; px++) {
                const Float *at = boxes.data() + 2 * py * row + 2 * px;
                for (int o = 0; o < post.channels; o += BLOCK) {
                    Float acc[BLOCK] = {};
                    accumulate(acc, kernels[n].forward.data() + o, kernels[n].forward_stride, count,
                               [&](int i) { return at[offset[i]]; });
                    Float *to = phi.data() + o * post.positions() + py * post.width + px;
                    for (int j = 0; j < std::min(BLOCK, post.channels - o); j++) to[j * post.positions()] += acc[j];
                }
            }
    }

    // The transpose: k*k tap sums for each pooled position, folded to the (k+1)*(k+1) positions that it sees.
    void conv_backward(int n, const Floats &s, Floats &phi) {
        const Layer &pre = net.layers[n], &post = net.layers[n + 1];
        const int k = net.bundle[n].kernel, count = pre.channels * k * k, side = k + 1, plane = post.positions();
        taps.resize(round_up(count, BLOCK));
        for (int py = 0; py < post.height; py++)
            for (int px = 0; px < post.width; px++) {
                const Float *at = s.data() + py * post.width + px;
                for (int i = 0; i < count; i += BLOCK) {
                    Float acc[BLOCK] = {};
                    accumulate(acc, kernels[n].backward.data() + i, kernels[n].backward_stride, post.channels,
                               [&](int o) { return at[o * plane]; });
                    std::copy(acc, acc + BLOCK, taps.data() + i);
                }
                for (int c = 0; c < pre.channels; c++) {
                    const Float *tap = taps.data() + c * k * k;
                    Float *to = phi.data() + (c * pre.height + 2 * py) * pre.width + 2 * px;
                    for (int y = 0; y < side; y++)
                        for (int x = 0; x < side; x++) {
                            Float fold = {};
                            for (int ky = std::max(0, y - 1); ky <= std::min(k - 1, y); ky++)
                                for (int kx = std::max(0, x - 1); kx <= std::min(k - 1, x); kx++) fold += tap[ky * k + kx];
                            to[y * pre.width + x] += fold;
                        }
                }
            }
    }

    static void dense(const std::vector<float> &kernel, int stride, const Floats &s, Floats &phi) {
        const int outputs = static_cast<int>(phi.size());
        for (int o = 0; o < outputs; o += BLOCK) {
            Float acc[BLOCK] = {};
            accumulate(acc, kernel.data() + o, stride, static_cast<int>(s.size()), [&](int i) { return s[i]; });
            for (int j = 0; j < std::min(BLOCK, outputs - o); j++) phi[o + j] += acc[j];
        }
    }

    // All layers together; `window`: xi counts for the sums of phase `which`.
    void step(int which, int sign, bool window) {
        layers[1].phi = static_drive;
        for (int n = 2; n <= net.bundles; n++) std::fill(layers[n].phi.begin(), layers[n].phi.end(), Float{});
        for (int n = 1; n < net.bundles; n++) { // this bundle joins layers n and n + 1
            State &pre = layers[n], &post = layers[n + 1];
            if (net.bundle[n].kind == CONV) {
                conv_forward(n, pre.s, post.phi);
                conv_backward(n, post.s, pre.phi);
            } else {
                dense(kernels[n].forward, kernels[n].forward_stride, pre.s, post.phi);
                dense(kernels[n].backward, kernels[n].backward_stride, post.s, pre.phi);
            }
        }
        const int32_t *bias = biases;
        for (int n = 1; n <= net.bundles; bias += net.layers[n].channels, n++) {
            State &state = layers[n];
            const int positions = net.layers[n].positions(), count = net.layers[n].neurons();
            const bool nudged = sign && n == net.bundles;
            Int fired = {};
            for (int i = 0; i < count; i++) {
                Int value = bias[i / positions] + (Int{} + (1 << (net.round_shift - 1)));
                if (nudged) value += (sign * net.beta * (target[i] - state.xi[i])) >> net.nudge_shift;
                fired += neuron(state, i, value);
            }
            if (window)
                for (int i = 0; i < count; i++) sums[which][n][i] += state.xi[i];
            spikes[n] += __builtin_convertvector(fired, Long);
        }
    }

    // offset: bias, nudge and the half of the rounding. The result is 1 where a neuron fired.
    inline Int neuron(State &state, int i, Int offset) {
        const Int old = state.d[i];
        Int d = old + (((to_int(state.phi[i]) << net.drive_shift) - old) >> net.decay_shift);
        d = clip(d, net.decoder_low, net.decoder_high);
        const Int xi = clip((d + offset) >> net.round_shift, 0, 1 << net.one_bits);
        const Int spike = (state.u[i] + (xi << net.decay_shift) > net.threshold) & 1;
        state.d[i] = d;
        state.u[i] += xi - (spike << net.one_bits);
        state.xi[i] = xi;
        state.s[i] = __builtin_convertvector(spike, Float);
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

    // One rounding and one clip for each sample, then the sum over samples.
    int64_t update(Int g, int rate, int shift, int count) const {
        const Long exact = (__builtin_convertvector(g, Long) * rate + (int64_t{1} << (shift - 1))) >> shift;
        const Int clipped = __builtin_convertvector(
            exact < -net.update_bound ? Long{} - net.update_bound : (exact > net.update_bound ? Long{} + net.update_bound : exact), Int);
        int64_t total = 0;
        for (int l = 0; l < count; l++) total += clipped[l];
        return total;
    }

    void updates(int count, int64_t *weights, int64_t *bias_updates) {
        for (int n = 0; n < net.bundles; n++) {
            const Bundle &b = net.bundle[n];
            const Layer &pre = net.layers[n], &post = net.layers[n + 1];
            const Int *plus = sums[1][n + 1].data(), *minus = sums[2][n + 1].data();
            const int positions = post.positions();
            for (int o = 0; o < post.channels; o++) {
                Int g = {};
                for (int i = o * positions; i < (o + 1) * positions; i++) g += plus[i] - minus[i];
                *bias_updates++ += update(g, b.bias_rate, net.bias_shift, count);
            }
            if (b.kind == DENSE) {
                const Int *pre_plus = sums[1][n].data(), *pre_minus = sums[2][n].data();
                for (int o = 0; o < post.channels; o++)
                    for (int i = 0; i < pre.neurons(); i++)
                        *weights++ += update(pre_plus[i] * plus[o] - pre_minus[i] * minus[o], b.weight_rate, b.weight_shift, count);
                continue;
            }
            box_sums(pre, n ? sums[1][n] : images, pre_boxes[0]);
            if (n) box_sums(pre, sums[2][n], pre_boxes[1]);
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
                            *weights++ += update(g, b.weight_rate, b.weight_shift, count);
                        }
        }
    }
};

} // namespace

// weights, biases: working copies in torch's order, bundle after bundle. labels: null for inference. Updates are added to.
extern "C" void nudge_run(const Network *net, const int32_t *weights, const int32_t *biases, const uint8_t *images,
                          const int64_t *labels, int64_t count, int32_t threads, int64_t *predictions, int64_t *spikes,
                          int64_t *weight_updates, int64_t *bias_updates) {
    std::vector<Kernels> kernels;
    int64_t weight_count = 0, bias_count = 0;
    for (int n = 0; n < net->bundles; n++) {
        const Layer &pre = net->layers[n], &post = net->layers[n + 1];
        const Bundle &b = net->bundle[n];
        kernels.emplace_back(b, pre, post, weights + weight_count);
        weight_count += static_cast<int64_t>(post.channels) *
                        (b.kind == DENSE ? pre.neurons() : pre.channels * b.kernel * b.kernel);
        bias_count += post.channels;
    }
    const int64_t groups = (count + LANES - 1) / LANES;
    threads = static_cast<int32_t>(std::min<int64_t>(threads, groups));
    std::atomic<int64_t> next{0};
    std::vector<std::vector<int64_t>> own(threads); // each thread's spikes, weight updates and bias updates
    auto work = [&](int thread) {
        std::vector<int64_t> &totals = own[thread];
        totals.assign(net->bundles + weight_count + bias_count, 0);
        Group group(*net, kernels, biases);
        const int64_t pixels = net->layers[0].positions();
        for (int64_t g = next++; g < groups; g = next++) {
            int64_t first = g * LANES;
            int lanes = static_cast<int>(std::min<int64_t>(LANES, count - first));
            group.begin(images + first * pixels, labels ? labels + first : nullptr, lanes);
            group.run(labels != nullptr);
            for (int l = 0; l < lanes; l++) predictions[first + l] = group.prediction(l);
            for (int n = 1; n <= net->bundles; n++)
                for (int l = 0; l < lanes; l++) totals[n - 1] += group.spikes[n][l];
            if (labels) group.updates(lanes, &totals[net->bundles], &totals[net->bundles + weight_count]);
        }
    };
    std::vector<std::thread> pool;
    for (int t = 1; t < threads; t++) pool.emplace_back(work, t);
    if (threads > 0) work(0);
    for (auto &thread : pool) thread.join();
    for (auto &totals : own) {
        for (int n = 0; n < net->bundles; n++) spikes[n] += totals[n];
        for (int64_t i = 0; i < weight_count; i++) weight_updates[i] += totals[net->bundles + i];
        for (int64_t i = 0; i < bias_count; i++) bias_updates[i] += totals[net->bundles + weight_count + i];
    }
}
