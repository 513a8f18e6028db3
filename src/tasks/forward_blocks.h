// forward_blocks.h -- logits that do not depend on how pictures were put into batches.
//
// Matrix products choose their kernels by the number of rows, and may treat the last rows otherwise than the first: the
// same picture in a batch of another size, or in another place of it, then differs in the last bits of its logits
// (oneDNN on AVX2: 4e-6 of the largest logit were seen; on AVX-512 none). So evaluation always computes whole blocks of
// kForwardBlock pictures; a last one that is not full is filled up with copies of its last picture. If batches begin at
// multiples of kForwardBlock, a picture's logits are the same bits for every batch size, and whatever comes after it.
#pragma once

#include "core/tensor.h"
#include "models/image_model.h"

namespace gfsa::tasks {

constexpr int64_t kForwardBlock = 32;

// images [B, Cin, H, W], B >= 0, on any device -> logits f32 [B, classes] on the CPU. One block at a time lies on
// c.device.
Tensor forward_in_blocks(const ImageModel& model, const Tensor& images, int64_t classes, const ForwardContext& c);

}  // namespace gfsa::tasks
