// functions.h -- arithmetic as function objects for map() of ops/pointwise.h: the CPU inlines them into vector loops,
// kernels call them. Arguments and results are double or float (bf16 as float), masks bool.
#pragma once

#include <cmath>
#include <type_traits>

#include "core/cpu/math.h"

namespace gfsa::functions {

struct Add {
  constexpr auto operator()(auto a, auto b) const { return a + b; }
};
struct Subtract {
  constexpr auto operator()(auto a, auto b) const { return a - b; }
};
struct Multiply {
  constexpr auto operator()(auto a, auto b) const { return a * b; }
};
struct Divide {
  constexpr auto operator()(auto a, auto b) const { return a / b; }
};
// The gradient of a / b in b.
struct DivideSlope {
  constexpr auto operator()(auto d, auto a, auto b) const { return -d * (a / b) / b; }
};
struct AddProduct {
  constexpr auto operator()(auto a, auto b, auto c) const { return a + c * b; }
};
struct Select {
  constexpr auto operator()(bool mask, auto a, auto b) const { return mask ? a : b; }
};
// d where the mask is `keep`, else 0.
struct KeepWhere {
  bool keep;
  template <class A>
  constexpr A operator()(bool mask, A d) const {
    return mask == keep ? d : A(0);
  }
};

struct Scale {
  double factor;
  template <class A>
  constexpr A operator()(A v) const {
    return v * static_cast<A>(factor);
  }
};
struct AddScaled {
  double factor;
  template <class A>
  constexpr A operator()(A a, A v) const {
    return a + static_cast<A>(factor) * v;
  }
};
struct AddScalar {
  double value;
  template <class A>
  constexpr A operator()(A v) const {
    return v + static_cast<A>(value);
  }
};
struct Negate {
  constexpr auto operator()(auto v) const { return -v; }
};
struct Exp {
  constexpr auto operator()(auto v) const { return math::exp(v); }
};
struct Log {
  template <class A>
  constexpr A operator()(A v) const {
    if constexpr (std::is_same_v<A, float>) {
      return logf(v);
    } else {
      return std::log(v);
    }
  }
};
struct LogSlope {
  constexpr auto operator()(auto v, auto d) const { return d / v; }
};
struct Sqrt {
  template <class A>
  constexpr A operator()(A v) const {
    if constexpr (std::is_same_v<A, float>) {
      return sqrtf(v);
    } else {
      return std::sqrt(v);
    }
  }
};
// Of the result.
struct SqrtSlope {
  constexpr auto operator()(auto y, auto d) const { return d / (y + y); }
};
struct Square {
  constexpr auto operator()(auto v) const { return v * v; }
};
struct SquareSlope {
  constexpr auto operator()(auto v, auto d) const { return (v + v) * d; }
};

// One choice after the other: GCC 12 makes branches of nested ones in front of a conversion to bf16.
struct Limit {
  double low, high;
  template <class A>
  constexpr A operator()(A v) const {
    const A lo = static_cast<A>(low), hi = static_cast<A>(high);
    const A raised = lo > v ? lo : v;
    return hi < raised ? hi : raised;
  }
};
struct LimitSlope {
  double low, high;
  template <class A>
  constexpr A operator()(A v, A d) const {
    return v < static_cast<A>(low) || v > static_cast<A>(high) ? A(0) : d;
  }
};

}  // namespace gfsa::functions
