// add_bias.h -- a bias that a library's product could not add by itself.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace gfsa {

// c[i, j] += bias[j] for m rows of n elements, f32 or bf16, ldc elements apart; on the current stream.
template <DeviceType D>
void add_bias_rows(DType type, void* c, int64_t m, int64_t n, int64_t ldc, const float* bias);

template <DeviceType D>
void to_bf16(const float* x, bfloat16* y, int64_t n);

}  // namespace gfsa
