#include "core/cuda/emulated/warp.h"

namespace gfsa::emulated {

void shuffle_bits(ShuffleOperand& operand, uint32_t mask, const Where& where) {
  const Complete complete = [](Block& block, uint32_t warp, void* const* operands, uint32_t lanes) {
    for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
      if (!(lanes >> lane & 1u)) continue;
      auto& o = *static_cast<ShuffleOperand*>(operands[lane]);
      if (!(lanes >> o.source & 1u)) {
        report(FindingKind::inactive_lane,
               fmt::format("shuffle with mask {:#010x}: lane {} of warp {} reads lane {}, which the mask does not name",
                           lanes, lane, warp, o.source),
               block.thread(warp * kWarpSize + lane).where);
      }
      o.out = static_cast<const ShuffleOperand*>(operands[o.source])->in;
    }
  };
  current_block->collective(Collective::shuffle, mask, &operand, complete, where);
}

uint32_t vote(bool predicate, uint32_t mask, const Where& where) {
  uint32_t ballot = predicate;
  const Complete complete = [](Block&, uint32_t, void* const* operands, uint32_t lanes) {
    uint32_t result = 0;
    for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
      if (lanes >> lane & 1u) result |= *static_cast<uint32_t*>(operands[lane]) << lane;
    }
    for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
      if (lanes >> lane & 1u) *static_cast<uint32_t*>(operands[lane]) = result;
    }
  };
  current_block->collective(Collective::vote, mask, &ballot, complete, where);
  return ballot;
}

void sync_warp(uint32_t mask, Where where) {
  const Complete complete = [](Block& block, uint32_t warp, void* const*, uint32_t lanes) {
    block.order_lanes(warp, lanes);
  };
  current_block->collective(Collective::sync_warp, mask, nullptr, complete, where);
}

}  // namespace gfsa::emulated
