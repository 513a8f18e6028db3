#include "attention/kernels/cuda/pass_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
template struct Passes<float, 16>;
template struct Passes<float, 32>;
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
