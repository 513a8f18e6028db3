// warpgroup_kernels.h -- the kernels of warpgroup_pass.h. What becomes of scores and sums in registers is that of
// pass_kernels.h: block_tiles.h.
//
// Shared memory gives 128 bytes a cycle, and a product of 64 x 64 x 16 takes 32 cycles: with its left operand there, 4
// KiB are as much as it can have. So the first operand of the scores lies in registers in the passes that have room for
// it (half of the products of a pass read nothing else), and in shared memory in the gradient, which has not.
#pragma once

#include "attention/kernels/cuda/block_tiles.h"
#include "attention/kernels/cuda/warpgroup_pass.h"
#include "attention/kernels/cuda/warpgroup_tiles.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

// Of a consumer's warp.
GFSA_DEVICE Place place_of(const BlockWork& work, const Scores& c, int length, int other0, bool own_is_key) {
  const int row = (static_cast<int>(warp()) - kGroupWarps) * kWarpRows;
  return {work.b, work.h, work.own0 + row, other0, length, own_is_key, c.head_row(c.first, work.h)};
}

// Whose rows a block owns is known while compiling: registers are scarce.
// How a block's warps part stands in each kernel: where one function called either part of it, ptxas (13.0) made all
// products of the gradient wait for each other (C7515).
template <int kColumns, bool kOwnIsKey, bool kFirst>
struct WarpgroupApply {
  static constexpr const char* kName = kFirst ? "attention_first_pass" : "attention_pass";
  static constexpr int kMaxThreads = kBlockThreads;
  static constexpr bool kNeedsWarpgroups = true;
  TensorMap own, other, x;
  int stages = 0;

  GFSA_DEVICE void operator()(ApplyArguments<bfloat16> a) const {
    const BlockWork work(a.scores, kBlockRows, kOwnIsKey, a.span);
    const Scores c = a.scores.of(work.b);
    const int own_total = a.span.end_of(kOwnIsKey ? c.own_keys() : c.rows);
    if (work.own0 >= own_total) return;  // the sequence is shorter than others
    const int length = c.length(work.b);
    if (a.needed > 0 && c.c(work.h, a.needed) == 0) return;
    // A block may reach beyond its span, where other launches are not through yet.
    const int own_rows = own_total - work.own0 < kBlockRows ? own_total - work.own0 : kBlockRows;
    OtherRange range = other_range(c, work.own0, own_rows, length, kOwnIsKey);
    if (range.begin < a.span.begin) range.begin = a.span.begin;

    WarpgroupTiles<kColumns> tiles(1, stages);
    tiles.start();
    if (warp() < kGroupWarps) {
      give_registers<kProducerRegisters>();
      if (warp() == 0) produce(tiles, c, work, range, own_total);
    } else {
      take_registers<kConsumerRegisters>();
      consume(tiles, a, c, work, range, own_total, length);
    }
  }

 private:
  // In the order of use: the scores of a tile are started before the last one's sums.
  GFSA_DEVICE void produce(const WarpgroupTiles<kColumns>& tiles, const Scores& c, const BlockWork& work,
                           const OtherRange& range, int own_total) const {
    Producer<kColumns> producer(tiles);
    const TileSource others = source_of(other, c, work.b, work.h, !kOwnIsKey);
    const TileSource xs = source_of(x, c, work.b, work.h, !kOwnIsKey);
    producer.bring_own(0, source_of(own, c, work.b, work.h, kOwnIsKey), work.own0, own_total);
    for (int first = range.begin; first < range.end + kTileRows; first += kTileRows) {
      if (first < range.end) producer.bring(others, first, range.end);
      if (first > range.begin) producer.bring(xs, first - kTileRows, range.end);
    }
  }

  GFSA_DEVICE void consume(const WarpgroupTiles<kColumns>& tiles, const ApplyArguments<bfloat16>& a, const Scores& c,
                           const BlockWork& work, const OtherRange& range, int own_total, int length) const {
    constexpr int kTiles = kTileRows / 8;
    Consumer<kColumns> consumer(tiles);
    Place at = place_of(work, c, length, range.begin, kOwnIsKey);
    float acc[kColumns / 8][4], s[kTiles][4];
    clear(acc);
    typename Consumer<kColumns>::OwnRows own_rows;
    RowOperand<bfloat16, kTileRows> operand;
    OnlineSoftmax softmax;
    RowValues lse;
    if constexpr (!kFirst) lse = RowValues(a.lse, at, own_total);
    const auto weigh = [&] {
      mask_scores(s, c, at);
      if constexpr (kFirst) {
        softmax.take(s);
      } else {
        exponentials(s, c, at, lse);
      }
      drop(s, c, kept_bits<kTiles>(c, at));
    };
    consumer.wait_for_own();
    consumer.load_own(own_rows, 0);
    if (range.begin < range.end) {
      int scored = consumer.take();
      wgmma_fence();
      consumer.multiply_transposed(s, own_rows, scored);
      wgmma_commit();
      wgmma_wait<0>(s);
      consumer.release(scored);
      weigh();
      operand.take(s, {});
      int summed = 0;
      for (at.other0 += kTileRows; at.other0 < range.end; at.other0 += kTileRows) {
        scored = consumer.take();
        summed = consumer.take();
        wgmma_fence();
        consumer.multiply_transposed(s, own_rows, scored);
        wgmma_commit();
        consumer.multiply(acc, operand, summed);
        wgmma_commit();
        wgmma_wait<1>(s);
        consumer.release(scored);
        weigh();
        wgmma_wait<0>(acc);
        consumer.release(summed);
        if constexpr (kFirst) softmax.scale(acc);
        operand.take(s, {});
      }
      summed = consumer.take();
      wgmma_fence();
      consumer.multiply(acc, operand, summed);
      wgmma_commit();
      wgmma_wait<0>(acc);
    }
    if constexpr (kFirst) {
      float sums[2];
      softmax.finish(sums, acc);
      OnlineSoftmax::store_lse(sums, a.lse, at, own_total);
    }
    finish_rows(a.to, acc, c, at, own_total, a.span);
  }
};

// kWithValues, where keys own: what the last pass of backward makes of the same tiles of M, too.
template <int kColumns, bool kOwnIsKey, bool kWithValues = false>
struct WarpgroupGradient {
  static_assert(kOwnIsKey || !kWithValues);
  static constexpr const char* kName = kWithValues ? "attention_keys_and_values" : "attention_score_gradient";
  static constexpr int kMaxThreads = kBlockThreads;
  static constexpr bool kNeedsWarpgroups = true;
  TensorMap own, other;
  ChainMaps own_chain, other_chain;
  int stages = 0;

  GFSA_DEVICE void operator()(GradientArguments<bfloat16> a, Finish<bfloat16> values) const {
    const BlockWork work(a.scores, kBlockRows, kOwnIsKey);
    const Scores c = a.scores.of(work.b);
    const int own_total = kOwnIsKey ? c.own_keys() : c.rows;
    if (work.own0 >= own_total) return;  // the sequence is shorter than others
    const int length = c.length(work.b);
    const OtherRange range = other_range(c, work.own0, kBlockRows, length, kOwnIsKey);

    WarpgroupTiles<kColumns> tiles(1 + c.degree, stages);
    tiles.start();
    if (warp() < kGroupWarps) {
      give_registers<kProducerRegisters>();
      if (warp() == 0) produce(tiles, c, work, range, own_total);
    } else {
      take_registers<kConsumerRegisters>();
      consume(tiles, a, values, c, work, range, own_total, length);
    }
  }

 private:
  // Own tiles: the scores' operand, then those of the terms of dM. In the ring, of each step: the scores'
  // operand, then the terms from the last to the first.
  GFSA_DEVICE void produce(const WarpgroupTiles<kColumns>& tiles, const Scores& c, const BlockWork& work,
                           const OtherRange& range, int own_total) const {
    Producer<kColumns> producer(tiles);
    const auto own_term = [&](int t) { return own_chain.source(t, c, work.b, work.h, kOwnIsKey); };
    const auto term = [&](int t) { return other_chain.source(t, c, work.b, work.h, !kOwnIsKey); };
    const TileSource others = source_of(other, c, work.b, work.h, !kOwnIsKey);
    const int last = c.degree - 1;
    producer.bring_own(0, source_of(own, c, work.b, work.h, kOwnIsKey), work.own0, own_total);
    for (int t = 0; t <= last; ++t) producer.bring_own(1 + t, own_term(t), work.own0, own_total);
    for (int first = range.begin; first < range.end; first += kTileRows) {
      producer.bring(others, first, range.end);
      for (int t = last; t >= 0; --t) producer.bring(term(t), first, range.end);
    }
  }

  GFSA_DEVICE void consume(const WarpgroupTiles<kColumns>& tiles, const GradientArguments<bfloat16>& a,
                           const Finish<bfloat16>& values, const Scores& c, const BlockWork& work,
                           const OtherRange& range, int own_total, int length) const {
    constexpr int kTiles = kTileRows / 8, kNone = -1;
    Consumer<kColumns> consumer(tiles);
    const int last = c.degree - 1;
    Place at = place_of(work, c, length, range.begin, kOwnIsKey);
    float acc[kColumns / 8][4], s[kTiles][4], dm[kTiles][4], rest[kTiles][4];  // rest: of dM, without the last term
    float sums[kWithValues ? kColumns / 8 : 1][4];                             // M^T of the last term's other side
    clear(acc);
    clear(sums);
    RowOperand<bfloat16, kTileRows> operand, weights;
    const RowValues lse(a.lse, at, own_total), row_terms(a.row_terms, at, own_total);
    const float factor = c.c(work.h, c.degree);
    int scored = kNone, term = kNone;  // stages that sums of the last step still read
    consumer.wait_for_own();
    for (; at.other0 < range.end; at.other0 += kTileRows) {
      const int summed = scored, weighed = term;
      scored = consumer.take();
      wgmma_fence();
      consumer.multiply_transposed(s, 0, scored);
      wgmma_commit();
      wait_for_sums<1>(acc, sums);
      // Before more is taken: the ring goes on in turn.
      if (summed != kNone) consumer.release(summed);
      if (kWithValues && summed != kNone) consumer.release(weighed);
      term = consumer.take();
      wgmma_fence();
      consumer.multiply_transposed(dm, 1 + last, term);
      for (int t = last - 1; t >= 0; --t) consumer.multiply_transposed(rest, 1 + t, consumer.take(), t < last - 1);
      wgmma_commit();
      wgmma_wait<1>(s);
      // While the scores become probabilities, the terms of dM are multiplied.
      mask_scores(s, c, at);
      exponentials(s, c, at, lse);
      const uint32_t kept = kept_bits<kTiles>(c, at);
      wgmma_wait<0>(dm, rest);
      if constexpr (kWithValues) {  // operands in registers are made while no product is under way
        float m[kTiles][4];
        copy_tile(m, s);
        drop(m, c, kept);
        weights.take(m, {});
      }
      if (!kWithValues) consumer.release(term);
      for (int t = 1; t <= last; ++t) consumer.release((term + t) % stages);
      scale_all(dm, factor);
      if (last > 0) add_all(dm, rest);
      score_gradient(s, dm, c, at, kept, row_terms);
      operand.take(s, {});
      wgmma_fence();
      if constexpr (kWithValues) consumer.multiply(sums, weights, term);
      consumer.multiply(acc, operand, scored);
      wgmma_commit();
    }
    wait_for_sums<0>(acc, sums);
    if constexpr (kWithValues) finish_rows(values, sums, c, at, own_total, {});
    finish_gradient(a.y, a.accumulate, acc, c, at, own_total);
  }

  template <int kGroupsLeft, class Acc, class Sums>
  GFSA_DEVICE static void wait_for_sums(Acc& acc, Sums& sums) {
    if constexpr (kWithValues) {
      wgmma_wait<kGroupsLeft>(acc, sums);
    } else {
      wgmma_wait<kGroupsLeft>(acc);
    }
  }
};

// Host side.
template <class P>
const bfloat16* raw(const P& p) {
  if constexpr (requires { p.address(); }) {
    return reinterpret_cast<const bfloat16*>(p.address());
  } else {
    return p;
  }
}

// Whether TMA takes it, which wants no two elements in one place.
inline bool is_boxable(const HeadView<const bfloat16>& v) {
  return v.aligned && v.row_step > 0 && v.head_step > 0 && v.batch_step > 0;
}
inline TensorMap map_of(const HeadView<const bfloat16>& v, const Scores& c, int64_t batch, bool of_keys,
                        int64_t links = 1, int64_t between = 0) {
  const bool packed = c.offsets != nullptr;
  return tensor_map({.data = raw(v.data),
                     .sizes = {c.head_size,
                               packed    ? c.total
                               : of_keys ? c.keys
                                         : c.rows,
                               c.heads, packed ? 1 : batch, links},
                     .steps = {1, v.row_step, v.head_step, v.batch_step, links > 1 ? between : v.batch_step},
                     .box_rows = kTileRows});
}
inline ChainMaps maps_of(const Chain<const bfloat16>& chain, const Scores& c, int64_t batch, bool of_keys) {
  ChainMaps maps;
  maps.alone = map_of(chain.alone, c, batch, of_keys);
  maps.alone_at = chain.alone_at;
  if (c.degree > 1) maps.others = map_of(chain.others, c, batch, of_keys, c.degree - 1, chain.between);
  return maps;
}

// As many stages as there is room for.
template <int kColumns>
int stages_beside(int own_tiles) {
  using Tiles = WarpgroupTiles<kColumns>;
  int stages = kMostStages;
  while (stages > 0 && Tiles::bytes(own_tiles, stages) > kWarpgroupShared) --stages;
  return stages;
}
template <int kColumns>
Launch warpgroup_launch(int64_t own_total, int64_t heads, int own_tiles, int stages, const char* op) {
  return {.grid = {blocks_for(own_total, kBlockRows) * static_cast<uint32_t>(heads)},
          .block = {kBlockThreads},
          .shared_bytes = static_cast<uint32_t>(WarpgroupTiles<kColumns>::bytes(own_tiles, stages)),
          .op = op};
}

template <int kColumns>
bool WarpgroupPasses<kColumns>::apply(const ApplyArguments<bfloat16>& a, bool first, int64_t batch) {
  if (!current_runtime().has_warpgroups() || !is_boxable(a.own) || !is_boxable(a.other) || !is_boxable(a.x)) {
    return false;
  }
  const Scores& c = a.scores;
  const auto run = [&](auto kernel) {
    kernel.own = map_of(a.own, c, batch, a.own_is_key);
    kernel.other = map_of(a.other, c, batch, !a.own_is_key);
    kernel.x = map_of(a.x, c, batch, !a.own_is_key);
    kernel.stages = stages_beside<kColumns>(1);
    const int64_t own_total = rows_of(a.span, a.own_is_key ? c.keys : c.rows);
    launch(kernel, warpgroup_launch<kColumns>(own_total, batch * c.heads, 1, kernel.stages, "attention"), a);
  };
  if (first) {
    run(WarpgroupApply<kColumns, false, true>{});
  } else if (a.own_is_key) {
    run(WarpgroupApply<kColumns, true, false>{});
  } else {
    run(WarpgroupApply<kColumns, false, false>{});
  }
  return true;
}

// 0: the device, TMA or shared memory cannot do it. A step of the gradient holds `held` stages for sums of the last
// step and for its own scores while it takes those of its terms.
template <int kColumns>
int stages_of_gradient(const GradientArguments<bfloat16>& a, int held) {
  const Scores& c = a.scores;
  const auto boxable = [&](const Chain<const bfloat16>& chain) {
    return is_boxable(chain.alone) && (c.degree == 1 || is_boxable(chain.others));
  };
  if (!current_runtime().has_warpgroups() || !is_boxable(a.own) || !is_boxable(a.other) || !boxable(a.own_chain) ||
      !boxable(a.other_chain)) {
    return 0;
  }
  const int stages = stages_beside<kColumns>(1 + c.degree);
  return stages < held + c.degree ? 0 : stages;
}
template <class Kernel, int kColumns>
void launch_gradient(const GradientArguments<bfloat16>& a, const Finish<bfloat16>& values, int64_t batch, int stages) {
  const Scores& c = a.scores;
  Kernel kernel;
  kernel.own = map_of(a.own, c, batch, a.own_is_key);
  kernel.other = map_of(a.other, c, batch, !a.own_is_key);
  kernel.own_chain = maps_of(a.own_chain, c, batch, a.own_is_key);
  kernel.other_chain = maps_of(a.other_chain, c, batch, !a.own_is_key);
  kernel.stages = stages;
  const int64_t own_total = a.own_is_key ? c.keys : c.rows;
  launch(kernel, warpgroup_launch<kColumns>(own_total, batch * c.heads, 1 + c.degree, stages, "attention backward"), a,
         values);
}

template <int kColumns>
bool WarpgroupPasses<kColumns>::gradient(const GradientArguments<bfloat16>& a, int64_t batch) {
  const int stages = stages_of_gradient<kColumns>(a, 2);
  if (stages == 0) return false;
  if (a.own_is_key) {
    launch_gradient<WarpgroupGradient<kColumns, true>, kColumns>(a, {}, batch, stages);
  } else {
    launch_gradient<WarpgroupGradient<kColumns, false>, kColumns>(a, {}, batch, stages);
  }
  return true;
}

template <int kColumns>
bool WarpgroupPasses<kColumns>::has_keys_and_values(const GradientArguments<bfloat16>& a) {
  return kColumns <= kLargestHeadOfKeysAndValues && stages_of_gradient<kColumns>(a, 3) > 0;
}
template <int kColumns>
void WarpgroupPasses<kColumns>::keys_and_values(const GradientArguments<bfloat16>& a, const Finish<bfloat16>& values,
                                                int64_t batch) {
  if constexpr (kColumns <= kLargestHeadOfKeysAndValues) {
    launch_gradient<WarpgroupGradient<kColumns, true, true>, kColumns>(a, values, batch,
                                                                       stages_of_gradient<kColumns>(a, 3));
  }
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
