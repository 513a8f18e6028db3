// rows.h -- what kernels that work on rows share: V elements at a time as floats, a warp a row, sums over a block.
#pragma once

#include "core/cuda/device.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

template <int V>
struct Floats {
  float v[V];
  GFSA_DEVICE float& operator[](int i) { return v[i]; }
  GFSA_DEVICE const float& operator[](int i) const { return v[i]; }
};

// Elements [i, i + V), for V > 1 aligned to V of them.
template <int V, class T>
GFSA_DEVICE Floats<V> load_floats(Global<const T> p, int64_t i, Where where = Where::current()) {
  Floats<V> result;
  if constexpr (V == 1) {
    result[0] = as_float(load(p, i, where));
  } else {
    const Vector<T, V> v = load_vector<V>(p, i, where);
    for (int k = 0; k < V; ++k) result[k] = as_float(v[k]);
  }
  return result;
}
template <int V, class T>
GFSA_DEVICE void store_floats(Global<T> p, int64_t i, const Floats<V>& x, Where where = Where::current()) {
  if constexpr (V == 1) {
    store(p, i, from_float<T>(x[0]), where);
  } else {
    Vector<T, V> v;
    for (int k = 0; k < V; ++k) v[k] = from_float<T>(x[k]);
    store_vector(p, i, v, where);
  }
}

// Over all threads of the block (whole warps), in every thread, in a fixed order. `scratch`: 32 elements.
template <class T>
GFSA_DEVICE T block_sum(T v, Shared<T> scratch, Where where = Where::current()) {
  v = warp_sum(v, where);
  const uint32_t warps = block_dim_x() / 32;
  if (warps == 1) return v;
  sync_block(where);  // a sum before this one may still be read
  if (lane() == 0) store(scratch, warp(), v, where);
  sync_block(where);
  return warp_sum(lane() < warps ? load(scratch, lane(), where) : T(0), where);
}
GFSA_DEVICE float block_max(float v, Shared<float> scratch, Where where = Where::current()) {
  v = warp_max(v, where);
  const uint32_t warps = block_dim_x() / 32;
  if (warps == 1) return v;
  sync_block(where);
  if (lane() == 0) store(scratch, warp(), v, where);
  sync_block(where);
  return warp_max(lane() < warps ? load(scratch, lane(), where) : v, where);
}

// Where a warp has a row to itself.
inline constexpr int kRowWarps = 4;  // of a block
inline Launch a_warp_each_row(const char* op, int64_t rows, const std::array<const Shape*, 4>& shapes) {
  return {.grid = {blocks_for(rows, kRowWarps)}, .block = {kRowWarps * 32}, .op = op, .shapes = shapes};
}
GFSA_DEVICE int64_t row_of_warp() { return int64_t{block_x()} * kRowWarps + warp(); }

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {

// f(integral constant 4) where rows of `columns` can be read 4 elements at a time, else f(integral constant 1).
template <class F, class... T>
void with_row_vectors(int64_t columns, F&& f, const T*... rows) {
  if (columns % 4 == 0 && (... && (reinterpret_cast<uintptr_t>(rows) % (4 * sizeof(T)) == 0))) {
    f(std::integral_constant<int, 4>{});
  } else {
    f(std::integral_constant<int, 1>{});
  }
}

}  // namespace gfsa
