// device_emulated.h -- the vocabulary of device.h on the emulated device; device.h includes it.
#pragma once

#include <functional>
#include <tuple>
#include <typeinfo>
#include <utility>

#include "core/cuda/emulated/pointers.h"
#include "core/cuda/emulated/queue.h"
#include "core/cuda/emulated/warp.h"
#include "core/cuda/emulated/warpgroup.h"

namespace gfsa::emulated {

inline uint32_t thread_x() { return current_thread->index.x; }
inline uint32_t thread_y() { return current_thread->index.y; }
inline uint32_t thread_z() { return current_thread->index.z; }
inline uint32_t block_x() { return current_block->index().x; }
inline uint32_t block_y() { return current_block->index().y; }
inline uint32_t block_z() { return current_block->index().z; }
inline uint32_t block_dim_x() { return current_block->launch().block.x; }
inline uint32_t block_dim_y() { return current_block->launch().block.y; }
inline uint32_t block_dim_z() { return current_block->launch().block.z; }
inline uint32_t grid_dim_x() { return current_block->launch().grid.x; }
inline uint32_t grid_dim_y() { return current_block->launch().grid.y; }
inline uint32_t grid_dim_z() { return current_block->launch().grid.z; }
inline uint32_t thread_rank() { return current_thread->id; }
inline uint32_t lane() { return current_thread->lane; }
inline uint32_t warp() { return current_thread->warp; }
inline int64_t global_x() { return int64_t{block_x()} * block_dim_x() + thread_x(); }

template <template <class> class P, class T>
std::remove_const_t<T> load(const P<T>& p, int64_t i, Where where = Where::current()) {
  return read_at<std::remove_const_t<T>>(p, i, where);
}
template <template <class> class P, class T>
void store(const P<T>& p, int64_t i, std::type_identity_t<T> v, Where where = Where::current()) {
  static_assert(!std::is_const_v<T>);
  write_at(p, i, v, where);
}
template <int N, template <class> class P, class T>
Vector<std::remove_const_t<T>, N> load_vector(const P<T>& p, int64_t i, Where where = Where::current()) {
  return read_at<Vector<std::remove_const_t<T>, N>>(p, i, where);
}
template <template <class> class P, class T, int N>
void store_vector(const P<T>& p, int64_t i, const Vector<T, N>& v, Where where = Where::current()) {
  static_assert(!std::is_const_v<T>);
  write_at(p, i, v, where);
}

template <template <class> class P, class T>
T atomic_add(const P<T>& p, int64_t i, std::type_identity_t<T> v, Where where = Where::current()) {
  return update_at(p, i, where, [&](T old) { return static_cast<T>(old + v); });
}
template <template <class> class P, class T>
T atomic_max(const P<T>& p, int64_t i, std::type_identity_t<T> v, Where where = Where::current()) {
  return update_at(p, i, where, [&](T old) { return old < v ? v : old; });
}
template <template <class> class P, class T>
T atomic_cas(const P<T>& p, int64_t i, std::type_identity_t<T> expected, std::type_identity_t<T> desired,
             Where where = Where::current()) {
  return update_at(p, i, where, [&](T old) { return std::memcmp(&old, &expected, sizeof(T)) == 0 ? desired : old; });
}

#define GFSA_SHARED(T, name, count) \
  static const char name##_key = 0; \
  const ::gfsa::emulated::Shared<T> name = ::gfsa::emulated::static_shared<T>(&name##_key, count)
template <class T>
Shared<T> static_shared(const void* key, int64_t count, Where where = Where::current()) {
  const AddressRange range = current_block->static_shared(key, static_cast<uint32_t>(count * sizeof(T)), where);
  return {static_cast<uint32_t>(range.begin), range};
}
template <class T>
Shared<T> dynamic_shared(int64_t first_byte, int64_t count, Where where = Where::current()) {
  const AddressRange all = current_block->dynamic_shared();
  const AddressRange range{static_cast<uint64_t>(first_byte), first_byte + count * sizeof(T)};
  if (range.end > all.end) {
    report(FindingKind::out_of_bounds,
           fmt::format("dynamic shared memory up to byte {}, but the launch gave {}", range.end, all.end), where);
  }
  return {static_cast<uint32_t>(first_byte), range};
}

inline void sync_block(Where where = Where::current()) { current_block->barrier(false, where); }
inline bool sync_block_or(bool predicate, Where where = Where::current()) {
  return current_block->barrier(predicate, where).any;
}
inline bool sync_block_and(bool predicate, Where where = Where::current()) {
  return current_block->barrier(predicate, where).all;
}
inline uint32_t sync_block_count(bool predicate, Where where = Where::current()) {
  return current_block->barrier(predicate, where).count;
}
inline void sync_named(uint32_t id, uint32_t threads, Where where = Where::current()) {
  current_block->named_barrier(id, threads, true, where);
}
inline void arrive_named(uint32_t id, uint32_t threads, Where where = Where::current()) {
  current_block->named_barrier(id, threads, false, where);
}
inline void fence_block() {}
inline void fence_device() { current_block->fence_device(); }

// What a launch needs to know of one argument.
template <class A>
ArgumentInfo argument_info(const A&) {
  return {};
}
template <class T>
ArgumentInfo argument_info(const Global<T>& p) {
  return {p.address(), !std::is_const_v<T>, false};
}
template <class T>
ArgumentInfo argument_info(const InPlace<T>& p) {
  return {p.address(), !std::is_const_v<T>, true};
}

template <class K, class... A>
void launch(const K& kernel, const Launch& how, A&&... arguments) {
  using Tuple = typename KernelParameters<decltype(&K::operator())>::Tuple;
  static_assert(std::tuple_size_v<Tuple> == sizeof...(A), "as many arguments as operator() has parameters");
  NamedLaunch named(K::kName, how);  // an argument that is no device memory is reported with the kernel's name
  const Tuple values = [&]<size_t... I>(std::index_sequence<I...>) {
    return Tuple(static_cast<std::tuple_element_t<I, Tuple>>(arguments)...);
  }
  (std::index_sequence_for<A...>());
  enqueue_kernel(K::kName, typeid(K).name(), max_threads_of<K>(), how,
                 std::apply([](const auto&... a) { return std::vector<ArgumentInfo>{argument_info(a)...}; }, values),
                 [kernel, values] { std::apply(kernel, values); });
}

}  // namespace gfsa::emulated
