#include "attention/kernels/cuda/pass_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
template struct Passes<bfloat16, 64>;
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
