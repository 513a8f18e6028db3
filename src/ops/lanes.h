// lanes.h -- sums and maxima over a row as kLanes interleaved partial results, folded by halves: GCC 12 leaves some
// loops with `omp simd reduction` scalar after inlining, never these. The same order on every instruction set. Call
// inside simd::run.
#pragma once

#include <cstdint>
#include <limits>
#include <utility>

namespace gfsa {

inline constexpr int64_t kLanes = 32;

template <class A>
inline A fold_sum(A* lanes) {
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

// Sum of term(i), 0 <= i < n. fetch(i): before the kLanes terms from i on, to ask for memory ahead.
template <class A, class Term, class Fetch>
inline A lane_sum(int64_t n, const Term& term, const Fetch& fetch) {
  A lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    fetch(i);
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += term(i + l);
  }
#pragma omp simd
  for (int64_t l = 0; l < n - i; ++l) lanes[l] += term(i + l);
  return fold_sum(lanes);
}

template <class A, class Term>
inline A lane_sum(int64_t n, const Term& term) {
  return lane_sum<A>(n, term, [](int64_t) {});
}

// Two sums in one trip: terms(i, a, b) sets a and b.
template <class A, class Terms>
inline std::pair<A, A> lane_sums(int64_t n, const Terms& terms) {
  A first[kLanes] = {}, second[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) {
      A a, b;
      terms(i + l, a, b);
      first[l] += a, second[l] += b;
    }
  }
#pragma omp simd
  for (int64_t l = 0; l < n - i; ++l) {
    A a, b;
    terms(i + l, a, b);
    first[l] += a, second[l] += b;
  }
  return {fold_sum(first), fold_sum(second)};
}

// Largest value(i), -inf if there is none; NaN are passed over.
template <class A, class Value>
inline A lane_max(int64_t n, const Value& value) {
  A lanes[kLanes];
  for (int64_t l = 0; l < kLanes; ++l) lanes[l] = -std::numeric_limits<A>::infinity();
  auto larger = [](A v, A than) { return v > than ? v : than; };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] = larger(value(i + l), lanes[l]);
  }
#pragma omp simd
  for (int64_t l = 0; l < n - i; ++l) lanes[l] = larger(value(i + l), lanes[l]);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) lanes[l] = larger(lanes[l + half], lanes[l]);
  }
  return lanes[0];
}

}  // namespace gfsa
