// pointers.h -- Global<T> and Shared<T> of the emulated device: an address, and the bounds of what it points into.
#pragma once

#include <type_traits>

#include "core/cuda/emulated/access.h"
#include "core/cuda/emulated/queue.h"

namespace gfsa::emulated {

// The device's own names; those of kernels hide them.
using namespace emulator;

template <class T>
class Global {
 public:
  Global() = default;
  Global(std::nullptr_t) {}
  Global(T* p) : address_(reinterpret_cast<uintptr_t>(p)), range_(range_of_argument(p)) {}  // on the host
  Global(uintptr_t address, AddressRange range) : address_(address), range_(range) {}
  template <class U>
  requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>) Global(const Global<U>& other)
      : address_(other.address()), range_(other.range()) {}

  uintptr_t address() const { return address_; }
  AddressRange range() const { return range_; }
  uintptr_t address(int64_t i) const { return address_ + static_cast<uintptr_t>(i * static_cast<int64_t>(sizeof(T))); }
  explicit operator bool() const { return address_ != 0; }
  friend bool operator==(const Global& p, std::nullptr_t) { return p.address_ == 0; }
  friend Global operator+(Global p, int64_t n) { return Global(p.address(n), p.range_); }
  friend Global operator-(Global p, int64_t n) { return Global(p.address(-n), p.range_); }
  Global& operator+=(int64_t n) { return *this = *this + n; }

 private:
  uintptr_t address_ = 0;
  AddressRange range_;
};

// Memory that another argument may name too.
template <class T>
class InPlace : public Global<T> {
 public:
  using Global<T>::Global;
};

template <class T>
class Shared {
 public:
  Shared() = default;
  Shared(std::nullptr_t) {}
  Shared(uint32_t address, AddressRange range) : address_(address), range_(range) {}
  template <class U>
  requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>) Shared(const Shared<U>& other)
      : address_(other.address()), range_(other.range()) {}

  uint32_t address() const { return address_; }
  AddressRange range() const { return range_; }
  uint32_t address(int64_t i) const { return address_ + static_cast<uint32_t>(i * static_cast<int64_t>(sizeof(T))); }
  explicit operator bool() const { return range_.end != 0; }
  friend Shared operator+(Shared p, int64_t n) { return Shared(p.address(n), p.range_); }
  friend Shared operator-(Shared p, int64_t n) { return Shared(p.address(-n), p.range_); }
  Shared& operator+=(int64_t n) { return *this = *this + n; }

 private:
  uint32_t address_ = 0;
  AddressRange range_;
};

template <class U, class T>
Global<U> cast(Global<T> p) {
  return {p.address(), p.range()};
}
template <class U, class T>
Shared<U> cast(Shared<T> p) {
  return {p.address(), p.range()};
}

// One checked access of sizeof(V) bytes.
template <class V, class T>
V read_at(Global<T> p, int64_t i, const Where& where) {
  V value;
  check_global<AccessKind::read, sizeof(V)>(p.address(i), p.range(), where);
  std::memcpy(static_cast<void*>(&value), real_address(p.address(i)), sizeof(V));
  return value;
}
template <class V, class T>
V read_at(Shared<T> p, int64_t i, const Where& where) {
  V value;
  check_shared<AccessKind::read, sizeof(V)>(p.address(i), p.range(), where);
  std::memcpy(static_cast<void*>(&value), shared_map.bytes + p.address(i), sizeof(V));
  return value;
}
template <class V, class T>
void write_at(Global<T> p, int64_t i, const V& value, const Where& where) {
  check_global<AccessKind::write, sizeof(V)>(p.address(i), p.range(), where);
  std::memcpy(real_address(p.address(i)), static_cast<const void*>(&value), sizeof(V));
}
template <class V, class T>
void write_at(Shared<T> p, int64_t i, const V& value, const Where& where) {
  check_shared<AccessKind::write, sizeof(V)>(p.address(i), p.range(), where);
  std::memcpy(shared_map.bytes + p.address(i), static_cast<const void*>(&value), sizeof(V));
}

// f(old) -> new, as one atomic operation; gives back old.
template <class T, class F>
T update_at(Global<T> p, int64_t i, const Where& where, F&& f) {
  current_block->yield_sometimes();
  check_global<AccessKind::atomic, sizeof(T)>(p.address(i), p.range(), where);
  current_block->order_by_atomic(p.address(i));
  T old;
  std::memcpy(&old, real_address(p.address(i)), sizeof(T));
  const T next = f(old);
  std::memcpy(real_address(p.address(i)), &next, sizeof(T));
  return old;
}
template <class T, class F>
T update_at(Shared<T> p, int64_t i, const Where& where, F&& f) {
  current_block->yield_sometimes();
  check_shared<AccessKind::atomic, sizeof(T)>(p.address(i), p.range(), where);
  T old;
  std::memcpy(&old, shared_map.bytes + p.address(i), sizeof(T));
  const T next = f(old);
  std::memcpy(shared_map.bytes + p.address(i), &next, sizeof(T));
  return old;
}

}  // namespace gfsa::emulated
