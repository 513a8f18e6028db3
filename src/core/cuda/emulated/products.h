// products.h -- the products of warpgroups that are under way in a block.
//
// Each warp makes its own 16 rows, at the wait that covers the product: its operands are read then, as late as allowed,
// and checked against what the warp's lanes knew when they issued it, so that whoever changes them in between is found.
// What a warp has read is recorded as its products', at a clock that its wait teaches to its lanes (block.h).
#pragma once

#include <deque>

#include "core/cuda/emulated/block.h"
#include "core/cuda/matrix_descriptor.h"

namespace gfsa::emulator {

struct ProductOperands {
  uint64_t a;  // a descriptor, where there are no registers
  const uint32_t* registers;
  uint64_t b;
  bool accumulate;
};

// What is the same for all lanes of all four warps.
struct ProductShape {
  uint64_t a = 0, b = 0;
  bool registers = false, accumulate = false;
  Major major = Major::k;
  uint32_t tiles = 0;  // of 8 columns
  Where where;
  uint32_t group = 0;
};

// One lane's call.
struct ProductCall {
  float* d;
  ProductShape shape;
  const uint32_t* registers;
};

class Products {
 public:
  explicit Products(Block& block) : block_(block) {}

  // Of the running thread; the first two wait for its warp.
  void start(ProductCall& call);
  void wait(uint32_t groups_left, const AddressRange* named, size_t count);  // named: accumulators, on the host
  void fence();

  void start_block();
  void end_block() const;  // throws if the warps of a warpgroup did not issue the same
  void require_none_in_flight(const Thread& t) const;

 private:
  static constexpr uint32_t kLanes = kWarpSize;

  // What the lanes of a warp knew.
  struct Knowledge {
    struct Group {
      View view;
      uint32_t lanes;
    };
    uint32_t ordered = 0, clock = 0;
    uint32_t first_thread = 0;
    std::vector<Group> groups;
    bool has(const Access& past) const;
    uint32_t clock_of(uint32_t thread) const;  // up to which all of them know of it
  };
  struct Accumulator {
    std::array<float*, kLanes> d;
    uint32_t tiles = 0;
    uint32_t products = 0;      // under way
    std::vector<float> values;  // [16][8 tiles]
  };
  struct Product {
    ProductShape shape;
    Accumulator* to = nullptr;
    std::array<const uint32_t*, kLanes> registers;
    std::array<std::array<uint32_t, 4>, kLanes> a;
    Knowledge known;
  };
  struct Warp {
    std::vector<Product> products;
    std::vector<std::unique_ptr<Accumulator>> accumulators;
    uint64_t issued = 0;
  };
  struct Warpgroup {
    std::deque<ProductShape> issued;  // from number `first` on: not yet by all four warps
    uint64_t first = 0;
  };
  struct WaitCall {
    uint32_t groups_left;
    const AddressRange* named;
    size_t count;
  };
  struct Tile;  // reads and checks

  void issue(uint32_t warp, void* const* calls);
  void compare_with_other_warps(uint32_t warp, const ProductShape& shape);
  Accumulator* accumulator(uint32_t warp, void* const* calls);
  Knowledge knowledge(uint32_t warp) const;
  void finish(uint32_t warp, void* const* calls);
  void compute(uint32_t warp, Product& product, uint32_t clock);
  void give_back(Accumulator& accumulator, const Where& where) const;
  void teach(uint32_t warp, uint32_t clock);

  Block& block_;
  std::vector<Warp> warps_;
  std::vector<Warpgroup> warpgroups_;
};

}  // namespace gfsa::emulator
