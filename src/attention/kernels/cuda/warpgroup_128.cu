#include "attention/kernels/cuda/warpgroup_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
template struct WarpgroupPasses<128>;
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
