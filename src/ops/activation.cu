#include "ops/activation.h"

#include "ops/cuda/map.h"

namespace gfsa {

#define GFSA_ACTIVATION(A)                                                                       \
  template struct PointwiseKernel<GFSA_DEVICE_TYPE, Activate<A>, float, float>;                  \
  template struct PointwiseKernel<GFSA_DEVICE_TYPE, Activate<A>, bfloat16, bfloat16>;            \
  template struct PointwiseKernel<GFSA_DEVICE_TYPE, ActivationBackward<A>, float, float, float>; \
  template struct PointwiseKernel<GFSA_DEVICE_TYPE, ActivationBackward<A>, bfloat16, bfloat16, bfloat16>
GFSA_ACTIVATION(Activation::none);
GFSA_ACTIVATION(Activation::gelu);
GFSA_ACTIVATION(Activation::gelu_tanh);
GFSA_ACTIVATION(Activation::relu);
GFSA_ACTIVATION(Activation::silu);
GFSA_ACTIVATION(Activation::tanh);
GFSA_ACTIVATION(Activation::sigmoid);
#undef GFSA_ACTIVATION

}  // namespace gfsa
