// pass_kernels.h -- the kernels of pass.h. A block owns 16 rows a warp and walks over tiles of the other side; while it
// computes with one tile, the next one arrives.
#pragma once

#include "attention/kernels/cuda/block_tiles.h"
#include "attention/kernels/cuda/warpgroup_pass.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

template <class T, int kColumns, bool kFirst>
struct ApplyMatrix {
  static constexpr const char* kName = kFirst ? "attention_first_pass" : "attention_pass";
  static constexpr int kMaxThreads = 32 * kMostWarps;

  GFSA_DEVICE void operator()(ApplyArguments<T> a) const {
    using Memory = Tiles<T, kColumns>;
    constexpr int kOther = Memory::kOther, kStep = Memory::kStep;
    const Memory tiles(1);
    const BlockWork work(a.scores, tiles.own_rows, a.own_is_key, a.span);
    const Scores c = a.scores.of(work.b);
    const int own_total = a.span.end_of(a.own_is_key ? c.own_keys() : c.rows), columns = padded_columns(c.head_size);
    if (work.own0 >= own_total) return;  // the sequence is shorter than others
    const int length = c.length(work.b), b = work.b, h = work.h;
    if (a.needed > 0 && c.c(h, a.needed) == 0) return;
    OtherRange range = other_range(c, work.own0, tiles.own_rows, length, a.own_is_key);
    if (range.begin < a.span.begin) range.begin = a.span.begin;
    const int own0 = work.own0 + static_cast<int>(warp()) * kWarpRows;

    tiles.fetch_own(0, a.own.rows(c.first, h), c.head_size, work.own0, own_total);
    if (range.begin < range.end) {
      tiles.fetch_other(0, a.other.rows(c.first, h), c.head_size, range.begin, range.end);
    }
    float acc[kColumns / 8][4];
    clear(acc);
    OnlineSoftmax softmax;
    RowOperand<T, kOther> operand;
    Place at{b, h, own0, range.begin, length, a.own_is_key, c.head_row(c.first, h)};
    RowValues lse;
    if constexpr (!kFirst) lse = RowValues(a.lse, at, own_total);
    for (; at.other0 < range.end; at.other0 += kOther) {
      wait_for_tiles();
      tiles.fetch_other(1, a.x.rows(c.first, h), c.head_size, at.other0, range.end);
      float s[kOther / 8][4];
      clear(s);
      multiply_transposed(s, tiles.mine(0), tiles.other(0), kStep, columns);
      mask_scores(s, c, at);
      if constexpr (kFirst) {
        softmax.take(s);
        softmax.scale(acc);
      } else {
        exponentials(s, c, at, lse);
      }
      drop(s, c, kept_bits<kOther / 8>(c, at));
      operand.take(s, tiles.operand);
      wait_for_tiles();
      if (at.other0 + kOther < range.end) {
        tiles.fetch_other(0, a.other.rows(c.first, h), c.head_size, at.other0 + kOther, range.end);
      }
      multiply(acc, operand, tiles.other(1), kStep, columns);
    }
    copy_async_wait_all();
    if constexpr (kFirst) {
      float sums[2];
      softmax.finish(sums, acc);
      OnlineSoftmax::store_lse(sums, a.lse, at, own_total);
    }
    finish_rows(a.to, acc, c, at, own_total, a.span);
  }
};

template <class T, int kColumns>
struct ScoreGradient {
  static constexpr const char* kName = "attention_score_gradient";
  static constexpr int kMaxThreads = 32 * kMostWarps;
  using Memory = Tiles<T, kColumns>;

  GFSA_DEVICE void operator()(GradientArguments<T> a) const {
    constexpr int kOther = Memory::kOther, kStep = Memory::kStep;
    const Memory tiles(1 + a.own_slots);
    const BlockWork work(a.scores, tiles.own_rows, a.own_is_key);
    const Scores c = a.scores.of(work.b);
    const int own_total = a.own_is_key ? c.own_keys() : c.rows, columns = padded_columns(c.head_size), k = c.degree;
    if (work.own0 >= own_total) return;  // the sequence is shorter than others
    const int length = c.length(work.b), b = work.b, h = work.h;
    const OtherRange range = other_range(c, work.own0, tiles.own_rows, length, a.own_is_key);
    const bool resident = a.own_slots == k;
    // What a step multiplies: t = k - 1 .. 0 are the terms of dM, -1 the scores.
    const auto fetch = [&](int t, int first, int slot) {
      if (t < 0) {
        tiles.fetch_other(slot, a.other.rows(c.first, h), c.head_size, first, range.end);
        return;
      }
      tiles.fetch_other(slot, a.other_chain.rows(t, c.first, h), c.head_size, first, range.end);
      if (!resident) {
        tiles.fetch_own(1 + slot, a.own_chain.rows(t, c.first, h), c.head_size, work.own0, own_total);
      }
    };
    tiles.fetch_own(0, a.own.rows(c.first, h), c.head_size, work.own0, own_total);
    for (int t = 0; resident && t < k; ++t) {
      tiles.fetch_own(1 + t, a.own_chain.rows(t, c.first, h), c.head_size, work.own0, own_total);
    }
    if (range.begin < range.end) fetch(k - 1, range.begin, 0);

    float acc[kColumns / 8][4];
    clear(acc);
    RowOperand<T, kOther> operand;
    Place at{b,
             h,
             work.own0 + static_cast<int>(warp()) * kWarpRows,
             range.begin,
             length,
             a.own_is_key,
             c.head_row(c.first, h)};
    const RowValues lse(a.lse, at, own_total), row_terms(a.row_terms, at, own_total);
    const float last = c.c(h, k);
    int slot = 0;
    for (; at.other0 < range.end; at.other0 += kOther) {
      float s[kOther / 8][4], dm[kOther / 8][4];
      clear(dm);
      for (int t = k - 1; t >= 0; --t) {
        wait_for_tiles();
        fetch(t - 1, at.other0, 1 - slot);
        multiply_transposed(dm, tiles.mine(1 + (resident ? t : slot)), tiles.other(slot), kStep, columns);
        if (t == k - 1) scale_all(dm, last);
        slot = 1 - slot;
      }
      wait_for_tiles();
      if (at.other0 + kOther < range.end) fetch(k - 1, at.other0 + kOther, 1 - slot);
      const auto other = tiles.other(slot);
      const uint32_t kept = kept_bits<kOther / 8>(c, at);
      clear(s);
      multiply_transposed(s, tiles.mine(0), other, kStep, columns);
      mask_scores(s, c, at);
      exponentials(s, c, at, lse);
      score_gradient(s, dm, c, at, kept, row_terms);
      operand.take(s, tiles.operand);
      multiply(acc, operand, other, kStep, columns);
      slot = 1 - slot;
    }
    copy_async_wait_all();
    finish_gradient(a.y, a.accumulate, acc, c, at, own_total);
  }
};

// A block makes one tile of one copy of a slice.
template <class T, int kColumns>
struct BiasGradient {
  static constexpr const char* kName = "attention_bias_gradient";
  static constexpr int kMaxThreads = 32 * kMostWarps;
  using Memory = Tiles<T, kColumns>;

  GFSA_DEVICE void operator()(BiasGradientArguments<T> a) const {
    constexpr int kOther = Memory::kOther, kStep = Memory::kStep;
    const GradientArguments<T>& g = a.gradient;
    const Scores& c = g.scores;
    const Memory tiles(2);
    const int columns = padded_columns(c.head_size), k = c.degree;
    const int row_tiles = (c.rows + tiles.own_rows - 1) / tiles.own_rows, key_tiles = (c.keys + kOther - 1) / kOther;
    const int rest = static_cast<int>(block_x()) / key_tiles, unit = rest / row_tiles;
    const int block0 = rest % row_tiles * tiles.own_rows, other0 = static_cast<int>(block_x()) % key_tiles * kOther;
    const int own0 = block0 + static_cast<int>(warp()) * kWarpRows;
    const int slice = unit / a.groups, group = unit % a.groups;
    const int sharing = a.batch * c.heads / (a.bias_batch * a.bias_heads);
    const bool hidden = c.causal && block0 + tiles.own_rows <= other0;
    const int begin = static_cast<int>(int64_t{sharing} * group / a.groups);
    const int end = hidden ? begin : static_cast<int>(int64_t{sharing} * (group + 1) / a.groups);
    const auto batch_of = [&](int u) {
      return a.bias_batch > 1 ? slice / a.bias_heads : a.bias_heads > 1 ? u : u / c.heads;
    };
    const auto head_of = [&](int u) { return a.bias_heads > 1 ? slice % a.bias_heads : u % c.heads; };
    const auto fetch = [&](int u, int t, int slot) {
      const int b = batch_of(u), h = head_of(u), size = c.head_size;
      if (t < 0) {
        tiles.fetch_other(slot, g.other.rows(b, h), size, other0, c.keys);
        tiles.fetch_own(slot, g.own.rows(b, h), size, block0, c.rows);
      } else {
        tiles.fetch_other(slot, g.other_chain.rows(t, b, h), size, other0, c.keys);
        tiles.fetch_own(slot, g.own_chain.rows(t, b, h), size, block0, c.rows);
      }
    };
    float sum[kOther / 8][4];
    clear(sum);
    if (begin < end) fetch(begin, k - 1, 0);
    int slot = 0;
    for (int u = begin; u < end; ++u) {
      const int b = batch_of(u), h = head_of(u);
      const Place at{b, h, own0, other0, c.length(b), false, c.head_row(b, h)};
      const RowValues lse(g.lse, at, c.rows), row_terms(g.row_terms, at, c.rows);
      float s[kOther / 8][4], dm[kOther / 8][4];
      clear(dm);
      for (int t = k - 1; t >= -1; --t) {
        wait_for_tiles();
        if (t >= 0) {
          fetch(u, t - 1, 1 - slot);
        } else if (u + 1 < end) {
          fetch(u + 1, k - 1, 1 - slot);
        }
        const auto other = tiles.other(slot);
        if (t >= 0) {
          multiply_transposed(dm, tiles.mine(slot), other, kStep, columns);
          if (t == k - 1) scale_all(dm, c.c(h, k));
        } else {
          clear(s);
          multiply_transposed(s, tiles.mine(slot), other, kStep, columns);
        }
        slot = 1 - slot;
      }
      mask_scores(s, c, at);
      const uint32_t kept = kept_bits<kOther / 8>(c, at);
      exponentials(s, c, at, lse);
      score_gradient(s, dm, c, at, kept, row_terms);
      GFSA_UNROLL
      for (int n = 0; n < kOther / 8; ++n) {
        GFSA_UNROLL
        for (int e = 0; e < 4; ++e) sum[n][e] += s[n][e];
      }
    }
    copy_async_wait_all();
    const Place at{0, 0, own0, other0, 0, false, 0};
    GFSA_UNROLL
    for (int n = 0; n < kOther / 8; ++n) {
      GFSA_UNROLL
      for (int e = 0; e < 4; ++e) {
        const int i = at.own(e), j = at.other(n, e);
        if (i >= c.rows || j >= c.keys) continue;
        const int64_t to = (int64_t{unit} * c.rows + i) * c.keys + j;
        store(a.to, to, a.accumulate ? load(a.to, to) + sum[n][e] : sum[n][e]);
      }
    }
  }
};

// Host side.
template <class T, int kColumns>
void Passes<T, kColumns>::apply(const ApplyArguments<T>& a, bool first, int64_t batch) {
  if constexpr (kHasWarpgroupPasses<T, kColumns>) {
    if (WarpgroupPasses<kColumns>::apply(a, first, batch)) return;
  }
  const Scores& c = a.scores;
  const int64_t own_total = rows_of(a.span, a.own_is_key ? c.keys : c.rows);
  const int64_t warps = warps_of<T, kColumns>(own_total, 1);
  const Launch how{.grid = {blocks_for(own_total, warps * kWarpRows) * static_cast<uint32_t>(batch * c.heads)},
                   .block = {static_cast<uint32_t>(warps * 32)},
                   .shared_bytes = static_cast<uint32_t>(shared_bytes<T, kColumns>(warps, 1)),
                   .op = "attention"};
  if (first) {
    launch(ApplyMatrix<T, kColumns, true>{}, how, a);
  } else {
    launch(ApplyMatrix<T, kColumns, false>{}, how, a);
  }
}

template <class T, int kColumns>
void Passes<T, kColumns>::gradient(GradientArguments<T> a, int64_t batch) {
  if constexpr (kHasWarpgroupPasses<T, kColumns>) {
    if (WarpgroupPasses<kColumns>::gradient(a, batch)) return;
  }
  const Scores& c = a.scores;
  const int64_t own_total = a.own_is_key ? c.keys : c.rows;
  a.own_slots = shared_bytes<T, kColumns>(1, 1 + c.degree) <= kSharedBudget ? c.degree : 2;
  const int64_t warps = warps_of<T, kColumns>(own_total, 1 + a.own_slots);
  launch(ScoreGradient<T, kColumns>{},
         {.grid = {blocks_for(own_total, warps * kWarpRows) * static_cast<uint32_t>(batch * c.heads)},
          .block = {static_cast<uint32_t>(warps * 32)},
          .shared_bytes = static_cast<uint32_t>(shared_bytes<T, kColumns>(warps, 1 + a.own_slots)),
          .op = "attention backward"},
         a);
}

template <class T, int kColumns>
bool Passes<T, kColumns>::has_keys_and_values(const GradientArguments<T>& a) {
  if constexpr (kHasWarpgroupPasses<T, kColumns>) return WarpgroupPasses<kColumns>::has_keys_and_values(a);
  return false;
}
template <class T, int kColumns>
void Passes<T, kColumns>::keys_and_values(const GradientArguments<T>& a, const Finish<T>& values, int64_t batch) {
  if constexpr (kHasWarpgroupPasses<T, kColumns>) WarpgroupPasses<kColumns>::keys_and_values(a, values, batch);
}

template <class T, int kColumns>
void Passes<T, kColumns>::bias_gradient(BiasGradientArguments<T> a) {
  const Scores& c = a.gradient.scores;
  const int64_t warps = warps_of<T, kColumns>(c.rows, 2);
  const uint32_t units = static_cast<uint32_t>(a.bias_batch * a.bias_heads * a.groups);
  launch(BiasGradient<T, kColumns>{},
         {.grid = {blocks_for(c.rows, warps * kWarpRows) * blocks_for(c.keys, kOtherRows<T, kColumns>) * units},
          .block = {static_cast<uint32_t>(warps * 32)},
          .shared_bytes = static_cast<uint32_t>(shared_bytes<T, kColumns>(warps, 2)),
          .op = "attention backward"},
         a);
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
