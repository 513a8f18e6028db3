// position_embedding.h -- learned position embeddings of another image size.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace gfsa {

// stored [1, prefix + g * g, C] on a square grid -> [1, prefix + grid * grid, C] f32: the prefix rows (class token) as
// they are, the others by bicubic interpolation with antialiasing, as timm's resample_abs_pos_embed does through
// torch's F.interpolate(mode="bicubic", antialias=True, align_corners=False) (cubic kernel with a = -0.5). Throws bad
// input if the stored grid is not square.
Tensor resize_position_embedding(const Tensor& stored, int64_t grid, int64_t prefix);

}  // namespace gfsa
