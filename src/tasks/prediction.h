// prediction.h -- logits of pictures that are given as a tensor: no data set is opened.
#pragma once

#include <string>

#include "base/env.h"
#include "core/tensor.h"
#include "tasks/image_classification.h"

namespace gfsa::tasks {

// The tensor `images` of a safetensors file: F32 [N, channels, image_size, image_size] of the model, normalised as in
// training (augment.mean, augment.std). Other tensors of the file are not read. Bad input: no such tensor (the message
// lists those that there are), another dtype (U8 is told to be normalised first), another shape.
Tensor read_images(const std::string& path, const ImageModelConfig& model);

// images f32 [N, C, H, W], N >= 0 -> logits f32 [N, classes]; in blocks (forward_blocks.h).
Tensor predict(const ImageClassification& task, const Tensor& images, const ForwardContext& c);

// From file to file, written atomically: `logits`, with the weights' name in the metadata. Returns the number of
// pictures.
int64_t predict_file(const ImageClassification& task, const train::PredictRequest& request, const ForwardContext& c,
                     Env& env = Env::real());

}  // namespace gfsa::tasks
