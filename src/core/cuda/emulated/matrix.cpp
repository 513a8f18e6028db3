// Matrix fragments, after the PTX ISA manual, sections "Matrix Fragments for mma.m16n8k16", "... mma.m16n8k8" and
// "ldmatrix": of lane l, g = l / 4 and t = l % 4.
#include <bit>

#include "core/cuda/emulated/warp.h"

namespace gfsa::emulated {
namespace {

struct MatrixRows {
  uint16_t row[8] = {};
  uint32_t* registers = nullptr;
  int count = 0;
  bool transposed = false;
};

template <class A>
struct MmaOperand {
  float* d;
  const A* a;
  const A* b;
};

// d[16][8] += a[16][K] b[K][8]. Products are exact in f32 (8 or 11 bits each); the order of the sum and its rounding
// are this device's own, as every GPU has its own.
template <int K>
void multiply(const float (&a)[16][K], const float (&b)[K][8], float (&d)[16][8]) {
  for (int m = 0; m < 16; ++m) {
    for (int k = 0; k < K; ++k) {
      for (int n = 0; n < 8; ++n) d[m][n] += a[m][k] * b[k][n];
    }
  }
}

template <class F>
void each_accumulator(void* const* operands, F&& f) {
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4;
    float* d = static_cast<MmaOperand<uint32_t>*>(operands[lane])->d;
    for (uint32_t i = 0; i < 4; ++i) f(d[i], g + i / 2 * 8, 2 * t + i % 2);
  }
}

void complete_bf16(Block&, uint32_t, void* const* operands, uint32_t) {
  float a[16][16], b[16][8], d[16][8];
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4;
    const auto& o = *static_cast<MmaOperand<uint32_t>*>(operands[lane]);
    for (uint32_t r = 0; r < 4; ++r) {
      a[g + r % 2 * 8][2 * t + r / 2 * 8] = low_of(o.a[r]);
      a[g + r % 2 * 8][2 * t + r / 2 * 8 + 1] = high_of(o.a[r]);
    }
    for (uint32_t r = 0; r < 2; ++r) {
      b[2 * t + r * 8][g] = low_of(o.b[r]);
      b[2 * t + r * 8 + 1][g] = high_of(o.b[r]);
    }
  }
  each_accumulator(operands, [&](float& x, uint32_t m, uint32_t n) { d[m][n] = x; });
  multiply(a, b, d);
  each_accumulator(operands, [&](float& x, uint32_t m, uint32_t n) { x = d[m][n]; });
}

// The tensor core reads the upper 19 bits and ignores the others.
float tf32(uint32_t bits) { return float_of(bits & 0xFFFFE000u); }

void complete_tf32(Block&, uint32_t, void* const* operands, uint32_t) {
  float a[16][8], b[8][8], d[16][8];
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4;
    const auto& o = *static_cast<MmaOperand<uint32_t>*>(operands[lane]);
    for (uint32_t r = 0; r < 4; ++r) a[g + r % 2 * 8][t + r / 2 * 4] = tf32(o.a[r]);
    for (uint32_t r = 0; r < 2; ++r) b[t + r * 4][g] = tf32(o.b[r]);
  }
  each_accumulator(operands, [&](float& x, uint32_t m, uint32_t n) { d[m][n] = x; });
  multiply(a, b, d);
  each_accumulator(operands, [&](float& x, uint32_t m, uint32_t n) { x = d[m][n]; });
}

void complete_ldmatrix(Block&, uint32_t, void* const* operands, uint32_t) {
  const auto rows = [&](uint32_t lane) { return static_cast<MatrixRows*>(operands[lane]); };
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4;
    const MatrixRows& mine = *rows(lane);
    for (uint32_t m = 0; m < static_cast<uint32_t>(mine.count); ++m) {
      const uint16_t low = mine.transposed ? rows(8 * m + 2 * t)->row[g] : rows(8 * m + g)->row[2 * t];
      const uint16_t high = mine.transposed ? rows(8 * m + 2 * t + 1)->row[g] : rows(8 * m + g)->row[2 * t + 1];
      mine.registers[m] = low | static_cast<uint32_t>(high) << 16;
    }
  }
}

}  // namespace

void load_matrices(uint32_t* registers, int count, bool transposed, Shared<const bfloat16> row, const Where& where) {
  MatrixRows operand{.registers = registers, .count = count, .transposed = transposed};
  if (current_thread->lane < 8u * static_cast<uint32_t>(count)) {
    const auto bytes = read_at<Vector<uint16_t, 8>>(cast<const uint16_t>(row), 0, where);
    std::copy(bytes.v, bytes.v + 8, operand.row);
  }
  current_block->collective(Collective::ldmatrix, kAllLanes, &operand, complete_ldmatrix, where);
}

void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Where where) {
  MmaOperand<uint32_t> operand{d, a, b};
  current_block->collective(Collective::mma, kAllLanes, &operand, complete_bf16, where);
}
void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Where where) {
  MmaOperand<uint32_t> operand{d, a, b};
  current_block->collective(Collective::mma, kAllLanes, &operand, complete_tf32, where);
}

}  // namespace gfsa::emulated
