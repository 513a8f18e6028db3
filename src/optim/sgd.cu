#include "optim/cuda/update_segments.h"

namespace gfsa {

template struct UpdateKernel<GFSA_DEVICE_TYPE, update::SgdRule<float>>;
template struct UpdateKernel<GFSA_DEVICE_TYPE, update::MomentumRule<float>>;

}  // namespace gfsa
