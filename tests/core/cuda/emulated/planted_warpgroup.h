// planted_warpgroup.h -- what kernels with planted bugs of warpgroups have in common: one warpgroup, two tiles of 64
// rows of 64 bf16, two mbarriers.
#pragma once

#include "core/cuda/emulated/planted.h"

namespace gfsa::emulated {

constexpr uint32_t kSharedBytes = 4 * 8192 + 16;

inline Shared<bfloat16> tile(Where where = Where::current()) { return dynamic_shared<bfloat16>(0, 4 * 4096, where); }
inline Shared<Mbarrier> barriers(Where where = Where::current()) {
  return dynamic_shared<Mbarrier>(4 * 8192, 2, where);
}
// The first mbarrier, and nothing is wrong with it.
inline void set_up(uint32_t arrivals, Where where = Where::current()) {
  if (thread_x() == 0) {
    mbarrier_init(barriers(), 0, arrivals, where);
    mbarrier_init_fence(where);
  }
  sync_block(where);
}

struct WithMap {
  TensorMap map;
  // The tile, whole, by thread 0.
  void bring_tile(Where where = Where::current()) const {
    if (thread_x() != 0) return;
    mbarrier_arrive_expect(barriers(), 0, 8192, where);
    copy_box_async(tile(), 0, map, {}, barriers(), 0, where);
  }
  void bring_and_wait(Where where = Where::current()) const {
    set_up(1, where);
    bring_tile(where);
    mbarrier_wait(barriers(), 0, 0, where);
  }
};
#define PLANTED_WITH_MAP(name, ...)                   \
  struct name : WithMap {                             \
    static constexpr const char* kName = #name;       \
    [[maybe_unused]] inline static unsigned line = 0; \
    void operator()(__VA_ARGS__) const;               \
  };                                                  \
  void name::operator()(__VA_ARGS__) const

struct Fine : WithMap {
  static constexpr const char* kName = "Fine";
  void operator()(Global<float> y) const {
    set_up(1);
    bring_tile();
    mbarrier_wait(barriers(), 0, 0);
    store(y, thread_x(), to_float(load(tile(), thread_x())));
  }
};

class PlantedWarpgroup : public testing::Test {
 protected:
  TensorMap map() const { return tensor_map({x.data(), {64, 64, 1, 1, 1}, {1, 64, 0, 0, 0}, 64}); }
  static Launch one_block() { return {.grid = {1}, .block = {128}, .shared_bytes = kSharedBytes}; }

  const test::EmulatorArchitecture architecture{90};
  Array<bfloat16> x{runtime(), std::vector<bfloat16>(4096, bfloat16(0.5f))};
  Array<float> y{runtime(), 4096};
};

}  // namespace gfsa::emulated
