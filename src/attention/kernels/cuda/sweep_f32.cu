#include "attention/kernels/cuda/sweep_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
template struct Sweeps<float, 16>;
template struct Sweeps<float, 32>;
template struct Sweeps<float, 64>;
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
