#include "attention/kernels/cuda/visible_mean.h"

#include <algorithm>

#include "core/dispatch.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 128, kChunk = 64;

// inverse[b, i] = 1 / (keys that row i sees), 0 if it sees none. rows is 1 where all rows see the same.
struct InverseCounts {
  static constexpr const char* kName = "attention_inverse_counts";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Scores all, int rows, int64_t n, Global<float> inverse) const {
    if (global_x() >= n) return;
    const int b = static_cast<int>(global_x() / rows), i = static_cast<int>(global_x() % rows);
    const Scores c = all.of(b);
    const int length = c.length(b), end = c.causal && i + 1 < length ? i + 1 : length;
    int count = end;
    if (c.keep != nullptr) {
      count = 0;
      for (int j = 0; j < end; ++j) count += c.is_kept(b, j) ? 1 : 0;
    }
    store(inverse, global_x(), count == 0 ? 0.0f : 1.0f / static_cast<float>(count));
  }
};

struct Work {
  int b, h, chunk;
  GFSA_DEVICE Work(const Scores& c, int chunks) {
    const int head = static_cast<int>(block_x()) / chunks;
    chunk = static_cast<int>(block_x()) % chunks;
    b = head / c.heads;
    h = head % c.heads;
  }
};

// What row r counts in the sums: in U^T x the share of a key in row r, in U x whether key r may be seen.
GFSA_DEVICE float weight(const Scores& c, Global<const float> inverse, int rows, int b, int r, int length,
                         bool transposed) {
  if (transposed) return load(inverse, c.causal ? int64_t{b} * rows + r : b);
  return r < length && c.is_kept(b, r) ? 1.0f : 0.0f;
}

template <class T>
struct ChunkSums {
  static constexpr const char* kName = "attention_mean_chunk_sums";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Scores all, HeadView<const T> x, Global<const float> inverse, Global<float> sums,
                              int chunks, bool transposed, bool value_only) const {
    const Work work(all, chunks);
    const Scores c = all.of(work.b);
    if (value_only && c.c(work.h, -1) == 0) return;
    const int first = work.chunk * kChunk, end = first + kChunk < c.rows ? first + kChunk : c.rows;
    const int length = c.length(work.b);
    for (int d = static_cast<int>(thread_x()); d < c.head_size; d += kThreads) {
      float sum = 0;
      for (int r = first; r < end; ++r) {
        const float w = weight(c, inverse, all.rows, work.b, r, length, transposed);
        if (w != 0) sum += w * as_float(load(x.rows(c, work.b, work.h).data, r * x.row_step + d));
      }
      store(sums, int64_t{block_x()} * c.head_size + d, sum);
    }
  }
};

template <class T>
struct ChunkMeans {
  static constexpr const char* kName = "attention_mean";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Scores all, HeadView<const T> x, Global<const float> inverse, Global<const float> sums,
                              Global<float> y, int chunks, bool one_row, bool transposed, bool value_only) const {
    const Work work(all, one_row ? 1 : chunks);
    const Scores c = all.of(work.b);
    if (value_only && c.c(work.h, -1) == 0) return;
    const int b = work.b, h = work.h, first = work.chunk * kChunk;
    const int count = first + kChunk < c.rows ? kChunk : c.rows - first, length = c.length(b);
    const int64_t head = int64_t{b} * c.heads + h;
    // Causal: row i sees keys up to i, and key j is seen by rows from j on.
    const int sums_begin = c.causal && transposed ? work.chunk + 1 : 0;
    const int sums_end = c.causal && !transposed ? work.chunk : chunks;
    for (int d = static_cast<int>(thread_x()); d < c.head_size; d += kThreads) {
      float sum = 0;
      for (int s = sums_begin; s < sums_end; ++s) sum += load(sums, (head * chunks + s) * c.head_size + d);
      if (one_row) {
        store(y, head * c.head_size + d, sum * load(inverse, b));
        continue;
      }
      for (int step = 0; step < count; ++step) {
        const int r = transposed ? first + count - 1 - step : first + step;
        if (c.causal) {
          const float w = weight(c, inverse, all.rows, b, r, length, transposed);
          if (w != 0) sum += w * as_float(load(x.rows(c, b, h).data, r * x.row_step + d));
        }
        const float factor =
            transposed ? weight(c, inverse, all.rows, b, r, length, false) : load(inverse, int64_t{b} * all.rows + r);
        store(y, (c.head_row(b, h) + r) * c.head_size + d, factor * sum);
      }
    }
  }
};

}  // namespace

VisibleMean visible_mean(const kernels::Problem& p, const Tensor& x, bool transposed, bool value_only) {
  const Scores c = scores_of(p);
  const Device device = p.q.device();
  const int64_t chunks = (p.rows + kChunk - 1) / kChunk, heads = p.batch * p.heads, counts = p.causal ? p.rows : 1;
  const bool one_row = !p.causal && !transposed;
  VisibleMean mean{.values = {}, .one = one_row};
  const int64_t values = one_row ? heads : p.q.dim(0) * p.heads * p.q.dim(1);
  mean.values = Tensor::empty({values, p.head_size}, DType::f32, device);
  const Tensor inverse = Tensor::empty({p.batch, counts}, DType::f32, device);
  const Tensor sums = Tensor::empty({p.batch, p.heads, chunks, p.head_size}, DType::f32, device);
  const auto how = [](int64_t blocks) {
    return Launch{.grid = {static_cast<uint32_t>(blocks)}, .block = {kThreads}, .op = "attention"};
  };
  launch(InverseCounts{}, how(blocks_for(p.batch * counts, kThreads)), c, static_cast<int>(counts), p.batch * counts,
         inverse.data<float>());
  dispatch_gpu("attention", p.dtype, [&](auto t) {
    using T = decltype(t);
    const auto view = view_of<const T>(x, p.head_size);
    launch(ChunkSums<T>{}, how(heads * chunks), c, view, inverse.data<float>(), sums.data<float>(),
           static_cast<int>(chunks), transposed, value_only);
    launch(ChunkMeans<T>{}, how(heads * (one_row ? 1 : chunks)), c, view, inverse.data<float>(), sums.data<float>(),
           mean.values.data<float>(), static_cast<int>(chunks), one_row, transposed, value_only);
  });
  return mean;
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
