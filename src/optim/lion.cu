#include "optim/cuda/update_segments.h"

namespace gfsa {

template struct UpdateKernel<GFSA_DEVICE_TYPE, update::LionRule<float>>;

}  // namespace gfsa
