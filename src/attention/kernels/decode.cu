#include "attention/kernels/decode.h"

#include "attention/kernels/cuda/scores.h"
#include "core/dispatch.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

using kernels::Problem;

constexpr int kWarps = 8, kThreads = 32 * kWarps, kColumnsOfLane = 4, kTile = 32 * kColumnsOfLane;

template <class T>
struct StepArguments {
  Scores scores;  // rows: M
  HeadView<const T> q, k, v;
  HeadView<T> y;
  Global<T> keys{}, values{};  // the cache
  Global<float> sums{};
  Global<float> weights{};  // scratch, [B, H, capacity]
  int capacity = 0;
  Global<const int64_t> before{}, counts{};  // counts null: M
};

// A block makes the rows of one (sequence, head), one after the other.
template <class T>
struct DecodeRows {
  static constexpr const char* kName = "attention_step";
  static constexpr int kMaxThreads = kThreads;

  // What dynamic shared memory holds.
  struct Memory {
    Shared<float> q, acc, parts, of_warps;
    GFSA_DEVICE explicit Memory(const Scores& c) {
      const int64_t size = c.head_size, columns = size * c.degree;
      q = dynamic_shared<float>(0, size);
      acc = dynamic_shared<float>(4 * size, columns);
      parts = dynamic_shared<float>(4 * (size + columns), kWarps * kTile);
      of_warps = dynamic_shared<float>(4 * (size + columns + kWarps * kTile), kWarps);
    }
  };
  static uint32_t shared_bytes(const Problem& p) {
    return static_cast<uint32_t>(4 * (p.head_size * (1 + p.degree) + kWarps * kTile + kWarps));
  }

  GFSA_DEVICE void operator()(StepArguments<T> a) const {
    const Scores& c = a.scores;
    const Memory memory(c);
    const int head = static_cast<int>(block_x()), b = head / c.heads, h = head % c.heads, size = c.head_size;
    const int before = static_cast<int>(load(a.before, b));
    const int count = a.counts == nullptr ? c.rows : static_cast<int>(load(a.counts, b));
    const auto keys = a.keys + int64_t{head} * a.capacity * size;
    const auto values = a.values + int64_t{head} * a.capacity * size * c.degree;
    const auto weights = a.weights + int64_t{head} * a.capacity;
    const Rows<const T> q = a.q.rows(c, b, h), k = a.k.rows(c, b, h), v = a.v.rows(c, b, h);
    const Rows<T> y = a.y.rows(c, b, h);
    for (int i = 0; i < count; ++i) {
      const int t = before + i;
      for (int d = static_cast<int>(thread_x()); d < size; d += kThreads) {
        store(memory.q, d, c.scale * as_float(load(q.data, i * q.step + d)));
        store(keys, int64_t{t} * size + d, load(k.data, i * k.step + d));
        store(values, int64_t{t} * size * c.degree + d, load(v.data, i * v.step + d));
      }
      sync_block();
      const float sum = exponentials(c, memory, keys, weights, t);
      average(c, memory, values, weights, t);
      const float inverse = 1 / sum, own = load(weights, t) * inverse;
      for (int d = static_cast<int>(thread_x()); d < size; d += kThreads) {
        store(y.data, i * y.step + d, from_float<T>(finish(a, memory, values, head, t, d, inverse, own)));
      }
      sync_block();
    }
    for (int64_t e = thread_x(); e < int64_t{c.rows - count} * size; e += kThreads) {
      store(y.data, (count + e / size) * y.step + e % size, from_float<T>(0.0f));
    }
  }

 private:
  // weights[j] = exp(scale q . k_j - largest) for j <= t; gives back their sum, to all threads.
  GFSA_DEVICE static float exponentials(const Scores& c, const Memory& memory, Global<T> keys, Global<float> weights,
                                        int t) {
    const int w = static_cast<int>(warp()), l = static_cast<int>(lane());
    float largest = -INFINITY;
    for (int j = w; j <= t; j += kWarps) {
      float s = 0;
      for (int d = l; d < c.head_size; d += 32) {
        s += load(memory.q, d) * as_float(load(keys, int64_t{j} * c.head_size + d));
      }
      s = warp_sum(s);
      if (l == 0) store(weights, j, s);
      largest = fmaxf(largest, s);
    }
    if (l == 0) store(memory.of_warps, w, largest);
    sync_block();
    for (int i = 0; i < kWarps; ++i) largest = fmaxf(largest, load(memory.of_warps, i));
    sync_block();
    float sum = 0;
    for (int j = static_cast<int>(thread_x()); j <= t; j += kThreads) {
      const float e = expf(load(weights, j) - largest);
      store(weights, j, e);
      sum += e;
    }
    sum = warp_sum(sum);
    if (l == 0) store(memory.of_warps, w, sum);
    sync_block();
    sum = 0;
    for (int i = 0; i < kWarps; ++i) sum += load(memory.of_warps, i);
    return sum;
  }

  // acc = sum over j < t of weights[j] times row j of the values.
  GFSA_DEVICE static void average(const Scores& c, const Memory& memory, Global<T> values, Global<float> weights,
                                  int t) {
    const int w = static_cast<int>(warp()), l = static_cast<int>(lane()), columns = c.head_size * c.degree;
    for (int first = 0; first < columns; first += kTile) {
      float part[kColumnsOfLane] = {0, 0, 0, 0};
      for (int j = w; j < t; j += kWarps) {
        const float e = load(weights, j);
        const int64_t row = int64_t{j} * columns + first + l;
        GFSA_UNROLL
        for (int n = 0; n < kColumnsOfLane; ++n) {
          if (first + l + 32 * n < columns) part[n] += e * as_float(load(values, row + 32 * n));
        }
      }
      GFSA_UNROLL
      for (int n = 0; n < kColumnsOfLane; ++n) store(memory.parts, w * kTile + l + 32 * n, part[n]);
      sync_block();
      for (int e = static_cast<int>(thread_x()); e < kTile && first + e < columns; e += kThreads) {
        float sum = 0;
        for (int i = 0; i < kWarps; ++i) sum += load(memory.parts, i * kTile + e);
        store(memory.acc, first + e, sum);
      }
      sync_block();
    }
  }

  // Column d of row t: Y_1, ..., Y_(k-1) go to the cache, the result comes back. own = A_tt.
  GFSA_DEVICE static float finish(const StepArguments<T>& a, const Memory& memory, Global<T> values, int head, int t,
                                  int d, float inverse, float own) {
    const Scores& c = a.scores;
    const int h = head % c.heads, size = c.head_size, k = c.degree;
    const int64_t row = int64_t{t} * size * k + d, sum_at = int64_t{head} * size + d;
    float above = as_float(load(values, row));
    const float sum = load(a.sums, sum_at) + above, cu = c.c(h, -1);
    store(a.sums, sum_at, sum);
    float result = c.c(h, 0) * above + (cu == 0 ? 0.0f : cu / static_cast<float>(t + 1) * sum);
    for (int j = 1; j <= k; ++j) {
      above = load(memory.acc, (j - 1) * size + d) * inverse + own * above;
      result += c.c(h, j) * above;
      if (j == k) break;
      const T rounded = from_float<T>(above);
      store(values, row + j * size, rounded);
      above = as_float(rounded);
    }
    return result;
  }
};

struct AddLengths {
  static constexpr const char* kName = "attention_step_lengths";
  static constexpr int kMaxThreads = 128;
  GFSA_DEVICE void operator()(Global<int64_t> lengths, Global<const int64_t> counts, int64_t all, int64_t n) const {
    const int64_t b = global_x();
    if (b < n) store(lengths, b, load(lengths, b) + (counts == nullptr ? all : load(counts, b)));
  }
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa::kernels {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void DecodeKernels<D>::step(const Step& step, const Tensor& out) {
  const Problem& p = step.p;
  const int64_t* const counts = step.device_counts ? step.device_counts.data<int64_t>() : nullptr;
  const int64_t capacity = step.keys.dim(2);
  const Tensor weights = Tensor::empty({p.batch, p.heads, capacity}, DType::f32, out.device());
  dispatch_gpu("attention_step", p.dtype, [&](auto t) {
    using T = decltype(t);
    StepArguments<T> a;
    a.scores = scores_of(p);
    a.q = view_of<const T>(p.q, p.head_size);
    a.k = view_of<const T>(p.k, p.head_size);
    a.v = view_of<const T>(p.v, p.head_size);
    a.y = view_of<T>(out, p.head_size);
    a.keys = step.keys.data<T>();
    a.values = step.values.data<T>();
    a.sums = step.sums.data<float>();
    a.weights = weights.data<float>();
    a.capacity = static_cast<int>(capacity);
    a.before = static_cast<const int64_t*>(step.device_before.data<int64_t>());
    a.counts = counts;
    launch(DecodeRows<T>{},
           {.grid = {static_cast<uint32_t>(p.batch * p.heads)},
            .block = {kThreads},
            .shared_bytes = DecodeRows<T>::shared_bytes(p),
            .op = "attention_step"},
           a);
  });
  launch(AddLengths{}, one_thread_each("attention_step", p.batch, 128), step.device_before.data<int64_t>(), counts,
         p.rows, p.batch);
}

template struct DecodeKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa::kernels
