#include "attention/kernels/cuda/sweep_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
template struct Sweeps<bfloat16, 16>;
template struct Sweeps<bfloat16, 32>;
template struct Sweeps<bfloat16, 64>;
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
