// warpgroup.h -- mbarriers, box copies and products of warpgroups of the emulated device, as device.h documents them.
#pragma once

#include "core/cuda/emulated/mbarrier.h"
#include "core/cuda/emulated/products.h"
#include "core/cuda/emulated/warp.h"

namespace gfsa::emulated {

inline void require_warpgroups(const char* what, const Where& where) {
  if (limits().warpgroups) return;
  report(
      FindingKind::bad_launch,
      fmt::format("{} needs the limits of sm_90, these are those of {} (GFSA_EMULATED_ARCH=90)", what, limits().name),
      where);
}

inline void mbarrier_init(const Shared<Mbarrier>& b, int64_t i, uint32_t arrivals, Where where = Where::current()) {
  require_warpgroups("mbarrier_init", where);
  current_block->mbarriers().initialise(b.address(i), b.range(), arrivals, where);
}
inline void mbarrier_init_fence(Where where = Where::current()) {
  require_warpgroups("mbarrier_init_fence", where);
  current_block->mbarriers().fence_initialised();
}
inline void mbarrier_arrive(const Shared<Mbarrier>& b, int64_t i, Where where = Where::current()) {
  require_warpgroups("mbarrier_arrive", where);
  current_block->mbarriers().arrive(b.address(i), b.range(), 0, where);
}
inline void mbarrier_arrive_expect(const Shared<Mbarrier>& b, int64_t i, uint32_t bytes,
                                   Where where = Where::current()) {
  require_warpgroups("mbarrier_arrive_expect", where);
  current_block->mbarriers().arrive(b.address(i), b.range(), bytes, where);
}
inline void mbarrier_wait(const Shared<Mbarrier>& b, int64_t i, uint32_t parity, Where where = Where::current()) {
  require_warpgroups("mbarrier_wait", where);
  current_block->mbarriers().wait(b.address(i), b.range(), parity, where);
}

struct TensorMap {
  Global<const bfloat16> data;
  std::array<int64_t, 5> sizes{}, steps{};
  int64_t box_rows = 0;
};
// On the host; an error if the rules of launch.h are broken.
TensorMap tensor_map(const BoxedTensor& tensor);
inline void prefetch_map(const TensorMap&, Where where = Where::current()) {
  require_warpgroups("prefetch_map", where);
}
void start_box_copy(uint32_t to, AddressRange to_range, const TensorMap& map, const std::array<int, 5>& at,
                    const Shared<Mbarrier>& b, int64_t n, const Where& where);
template <class T>
void copy_box_async(const Shared<T>& to, int64_t i, const TensorMap& map, const std::array<int, 5>& at,
                    const Shared<Mbarrier>& b, int64_t n, Where where = Where::current()) {
  static_assert(!std::is_const_v<T>);
  start_box_copy(to.address(i), to.range(), map, at, b, n, where);
}

template <class T>
uint32_t shared_address(const Shared<T>& p) {
  return p.address();
}

template <Major kMajor, int kTiles>
void start_product(float (&d)[kTiles][4], const ProductOperands& with, const Where& where) {
  static_assert(kTiles % 2 == 0 && kTiles <= 32, "columns: a multiple of 16 up to 256");
  require_warpgroups("wgmma", where);
  ProductCall call{
      &d[0][0], {with.a, with.b, with.registers != nullptr, with.accumulate, kMajor, kTiles, where}, with.registers};
  current_block->products().start(call);
}
template <Major kMajor, int kTiles>
void wgmma(float (&d)[kTiles][4], uint64_t a, uint64_t b, bool accumulate, Where where = Where::current()) {
  start_product<kMajor>(d, {a, nullptr, b, accumulate}, where);
}
template <Major kMajor, int kTiles>
void wgmma(float (&d)[kTiles][4], const uint32_t (&a)[4], uint64_t b, bool accumulate, Where where = Where::current()) {
  start_product<kMajor>(d, {0, a, b, accumulate}, where);
}
inline void wgmma_fence(Where where = Where::current()) {
  require_warpgroups("wgmma_fence", where);
  current_thread->wgmma_fenced = true;
}
inline void wgmma_commit(Where where = Where::current()) {
  require_warpgroups("wgmma_commit", where);
  ++current_thread->product_group;
}
// What is wrong with a product is reported at its own place.
template <int kGroupsLeft, class... D>
void wgmma_wait(D&... d) {
  static_assert(kGroupsLeft >= 0);
  require_warpgroups("wgmma_wait", Where::current());
  const AddressRange named[] = {{reinterpret_cast<uintptr_t>(&d), reinterpret_cast<uintptr_t>(&d + 1)}..., {}};
  current_block->products().wait(kGroupsLeft, named, sizeof...(D));
}
inline void fence_async_proxy(Where where = Where::current()) {
  require_warpgroups("fence_async_proxy", where);
  current_block->products().fence();
}

template <int kRegisters>
void give_registers(Where where = Where::current()) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 24 && kRegisters <= 256);
  require_warpgroups("give_registers", where);
}
template <int kRegisters>
void take_registers(Where where = Where::current()) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 24 && kRegisters <= 256);
  require_warpgroups("take_registers", where);
}

}  // namespace gfsa::emulated
