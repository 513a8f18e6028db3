#include "attention/kernels/cuda/pass_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
template struct Passes<float, 128>;
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
