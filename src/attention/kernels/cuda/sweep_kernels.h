// sweep_kernels.h -- the kernels of sweep.h. As in pass_kernels.h a block owns 16 rows a warp, walks over tiles of the
// other side, and brings the next tile while it computes with one. Each tile of M is made once a visit and multiplies
// all that is known by then.
#pragma once

#include "attention/kernels/cuda/block_tiles.h"
#include "attention/kernels/cuda/sweep.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

template <class T, int kColumns>
struct SweepRows {
  static constexpr const char* kName = "attention_sweep_rows";
  static constexpr int kMaxThreads = 32 * kMostWarps;

  GFSA_DEVICE void operator()(RowSweep<T> a) const {
    using Memory = Tiles<T, kColumns>;
    constexpr int kOther = Memory::kOther, kStep = Memory::kStep;
    const Memory tiles(1);
    const BlockWork work(a.scores, tiles.own_rows, false, a.span);
    const Scores c = a.scores.of(work.b);
    const int end = a.span.end_of(c.rows), columns = padded_columns(c.head_size);
    if (work.own0 >= end) return;  // the sequence is shorter than others
    const int length = c.length(work.b), b = work.b, h = work.h;
    const OtherRange range = other_range(c, work.own0, tiles.own_rows, length, false);
    const bool filtered = c.c(h, 2) != 0;
    const auto fetch = [&](const HeadView<const T>& from, int first, int slot) {
      tiles.fetch_other(slot, from.rows(c.first, h), c.head_size, first, range.end);
    };
    tiles.fetch_own(0, a.q.rows(c.first, h), c.head_size, work.own0, end);
    if (range.begin < range.end) fetch(a.k, range.begin, 0);

    float first[kColumns / 8][4], second[kColumns / 8][4];  // M V and M T_1
    clear(first);
    clear(second);
    OnlineSoftmax softmax;
    RowOperand<T, kOther> operand;
    Place at{
        b, h, work.own0 + static_cast<int>(warp()) * kWarpRows, range.begin, length, false, c.head_row(c.first, h)};
    int slot = 0;
    for (; at.other0 < range.end; at.other0 += kOther) {
      const int next = at.other0 + kOther;
      const bool twice = filtered && at.other0 < a.span.begin;
      wait_for_tiles();
      fetch(a.v, at.other0, 1 - slot);
      float s[kOther / 8][4];
      clear(s);
      multiply_transposed(s, tiles.mine(0), tiles.other(slot), kStep, columns);
      mask_scores(s, c, at);
      softmax.take(s);
      softmax.scale(first, second);
      drop(s, c, kept_bits<kOther / 8>(c, at));
      operand.take(s, tiles.operand);
      slot = 1 - slot;
      wait_for_tiles();
      if (twice) {
        fetch(a.t, at.other0, 1 - slot);
      } else if (next < range.end) {
        fetch(a.k, next, 1 - slot);
      }
      multiply(first, operand, tiles.other(slot), kStep, columns);
      slot = 1 - slot;
      if (!twice) continue;
      wait_for_tiles();
      if (next < range.end) fetch(a.k, next, 1 - slot);
      multiply(second, operand, tiles.other(slot), kStep, columns);
      slot = 1 - slot;
    }
    copy_async_wait_all();
    float lse[2];
    softmax.finish(lse, first, second);
    OnlineSoftmax::store_lse(lse, a.lse, at, end);
    if (filtered) {
      finish_rows(a.horner, first, c, at, end, a.span);
      if (a.begun.data == nullptr) return;
      store_rows<kColumns / 8, float>(second, a.begun.rows(b, h), at.own0 - a.span.begin, end - a.span.begin,
                                      c.head_size);
    } else {
      finish_rows(a.horner, second, c, at, end, a.span);  // zeros
      finish_rows(a.out, first, c, at, end, a.span);
    }
  }
};

// kRest: the launch that adds the super-block's own rows, of degree 2.
template <class T, int kColumns, bool kRest>
struct SweepKeys {
  static constexpr const char* kName = kRest ? "attention_sweep_rest_of_keys" : "attention_sweep_keys";
  static constexpr int kMaxThreads = 32 * kMostWarps;

  GFSA_DEVICE void operator()(KeySweep<T> a) const {
    using Memory = Tiles<T, kColumns>;
    constexpr int kOther = Memory::kOther, kStep = Memory::kStep;
    const int k = a.scores.degree, size = a.scores.head_size, columns = padded_columns(size);
    const Memory tiles(1 + k, 3);
    const BlockWork work(a.scores, tiles.own_rows, true, a.span);
    const Scores c = a.scores.of(work.b);
    const int end = a.span.end_of(c.own_keys());
    if (work.own0 >= end) return;  // the sequence is shorter than others
    const int length = c.length(work.b), b = work.b, h = work.h;
    const int block_end = (work.own0 / a.block + 1) * a.block, after = block_end < c.rows ? block_end : c.rows;
    const bool wants_last = a.values.raw.data != nullptr || a.values.y.data != nullptr;
    const bool wants_keys = a.keys.data != nullptr;
    // Rows after the super-block come first, in both degrees: where c2 is 0 these sums have the softmax's order.
    const auto next_of = [&](int first) {
      const int next = first + kOther;
      if (first >= after) return next < c.rows ? next : work.own0;
      return next < after ? next : c.rows;
    };
    const auto fetch = [&](const Rows<const T>& rows, int first, int slot) {
      tiles.fetch_other(slot, rows, size, first, first < after ? after : c.rows);
    };
    Place at{b,
             h,
             work.own0 + static_cast<int>(warp()) * kWarpRows,
             kRest || after == c.rows ? work.own0 : after,
             length,
             true,
             c.head_row(c.first, h)};
    if (work.own0 >= length) at.other0 = c.rows;  // hidden keys
    tiles.fetch_own(0, a.k.rows(c.first, h), size, work.own0, end);
    for (int t = 0; wants_keys && t < k; ++t) {
      tiles.fetch_own(1 + t, a.right.rows(t, c.first, h), size, work.own0, end);
    }
    if (at.other0 < c.rows) fetch(a.q.rows(c.first, h), at.other0, 0);

    // D_1, D_2 and dK.
    float first[kColumns / 8][4], second[kColumns / 8][4], keys[kColumns / 8][4];
    clear(first);
    clear(second);
    clear(keys);
    const int sums0 = at.own0 - a.span.begin, sums_end = end - a.span.begin;
    if constexpr (kRest) {
      if (wants_last) add_rows<kColumns / 8, float>(second, 1, a.sums.rows(1, b, h), sums0, sums_end, size);
      if (wants_keys) add_rows<kColumns / 8, float>(keys, 1, a.sums.rows(2, b, h), sums0, sums_end, size);
    }
    RowOperand<T, kOther> operand;
    const RowValues lse(a.lse, at, end), row_terms(a.row_terms, at, end);
    const float factor = c.c(h, k);
    // Slots: the queries stay until the tile is done, the others take turns in the two that are left.
    for (int queries = 0; at.other0 < c.rows;) {
      const int next = next_of(at.other0);
      const bool finished = kRest || k == 1 || at.other0 >= after, twice = finished && k == 2;
      wait_for_tiles();
      int slot = (queries + 1) % 3;
      fetch(a.left.rows(twice ? 1 : 0, c.first, h), at.other0, slot);
      const uint32_t kept = kept_bits<kOther / 8>(c, at);
      float p[kOther / 8][4], dm[kOther / 8][4];
      clear(p);
      multiply_transposed(p, tiles.mine(0), tiles.other(queries), kStep, columns);
      mask_scores(p, c, at);
      exponentials(p, c, at, lse);
      copy_tile(dm, p);
      drop(dm, c, kept);
      operand.take(dm, tiles.operand);
      clear(dm);
      if (twice) {
        wait_for_tiles();
        const auto d1 = tiles.other(slot);
        slot = 3 - queries - slot;
        fetch(a.left.rows(0, c.first, h), at.other0, slot);
        if (wants_last) multiply(second, operand, d1, kStep, columns);
        if (wants_keys) {
          multiply_transposed(dm, tiles.mine(2), d1, kStep, columns);
          scale_all(dm, factor);
        }
      }
      wait_for_tiles();
      const auto g = tiles.other(slot), q = tiles.other(queries);
      queries = 3 - queries - slot;
      if (next < c.rows) fetch(a.q.rows(c.first, h), next, queries);
      if constexpr (!kRest) multiply(first, operand, g, kStep, columns);
      if (finished && wants_keys) {
        multiply_transposed(dm, tiles.mine(1), g, kStep, columns);
        if (k == 1) scale_all(dm, factor);
        score_gradient(p, dm, c, at, kept, row_terms);
        sync_warp();  // all of its lanes have read the operand
        operand.take(p, tiles.operand);
        multiply(keys, operand, q, kStep, columns);
      }
      at.other0 = next;
    }
    copy_async_wait_all();
    if constexpr (!kRest) {
      if (k == 2) {
        store_rows<kColumns / 8, T>(first, a.first.rows(c.first, h), at.own0, end, size);
        if (a.values.y.data != nullptr) {
          store_rows<kColumns / 8, float>(first, a.sums.rows(0, b, h), sums0, sums_end, size);
        }
        if (wants_last) store_rows<kColumns / 8, float>(second, a.sums.rows(1, b, h), sums0, sums_end, size);
        if (wants_keys) store_rows<kColumns / 8, float>(keys, a.sums.rows(2, b, h), sums0, sums_end, size);
        return;
      }
    }
    if (wants_last) finish_rows(a.values, kRest ? second : first, c, at, end, a.span);
    if (wants_keys) finish_gradient(a.keys, a.accumulate_keys, keys, c, at, end);
  }
};

// Host side.
template <class T, int kColumns>
void Sweeps<T, kColumns>::rows(const RowSweep<T>& a, int64_t batch) {
  const int64_t own_total = rows_of(a.span, a.scores.rows), warps = warps_of<T, kColumns>(own_total, 1);
  launch(SweepRows<T, kColumns>{},
         {.grid = {blocks_for(own_total, warps * kWarpRows) * static_cast<uint32_t>(batch * a.scores.heads)},
          .block = {static_cast<uint32_t>(warps * 32)},
          .shared_bytes = static_cast<uint32_t>(shared_bytes<T, kColumns>(warps, 1)),
          .op = "attention"},
         a);
}

template <class T, int kColumns>
Launch layout_of_key_sweep(const KeySweep<T>& a, int64_t batch) {
  const int64_t own_total = rows_of(a.span, a.scores.keys), own_tiles = 1 + a.scores.degree;
  const int64_t warps = warps_of<T, kColumns>(std::min<int64_t>(own_total, a.block), own_tiles, 3);
  return {.grid = {blocks_for(own_total, warps * kWarpRows) * static_cast<uint32_t>(batch * a.scores.heads)},
          .block = {static_cast<uint32_t>(warps * 32)},
          .shared_bytes = static_cast<uint32_t>(shared_bytes<T, kColumns>(warps, own_tiles, 3)),
          .op = "attention backward"};
}
template <class T, int kColumns>
void Sweeps<T, kColumns>::keys(const KeySweep<T>& a, int64_t batch) {
  launch(SweepKeys<T, kColumns, false>{}, layout_of_key_sweep<T, kColumns>(a, batch), a);
}
template <class T, int kColumns>
void Sweeps<T, kColumns>::rest_of_keys(const KeySweep<T>& a, int64_t batch) {
  launch(SweepKeys<T, kColumns, true>{}, layout_of_key_sweep<T, kColumns>(a, batch), a);
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
