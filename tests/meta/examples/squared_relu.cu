#include "meta/examples/squared_relu.h"

#include "ops/cuda/map.h"

namespace gfsa {

template struct PointwiseKernel<GFSA_DEVICE_TYPE, SquaredRelu, float, float>;
template struct PointwiseKernel<GFSA_DEVICE_TYPE, SquaredRelu, bfloat16, bfloat16>;
template struct PointwiseKernel<GFSA_DEVICE_TYPE, SquaredReluBackward, float, float, float>;
template struct PointwiseKernel<GFSA_DEVICE_TYPE, SquaredReluBackward, bfloat16, bfloat16, bfloat16>;

}  // namespace gfsa
