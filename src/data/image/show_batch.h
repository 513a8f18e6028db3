// show_batch.h -- a batch of pictures as one PNG: what the model is really given.
#pragma once

#include <string>
#include <vector>

#include "base/env.h"
#include "data/batch.h"
#include "data/image/augment_config.h"

namespace gfsa::data {

// The first `most` pictures of images [B, C, H, W], normalisation undone with augment's mean and std, each above its
// label, or the two largest parts of its target ("0.63 cat"). A label past class_names shows as its number.
void show_batch(Env& env, const Batch& batch, const std::vector<std::string>& class_names, const AugmentConfig& augment,
                const std::string& path, int64_t most = 64);

}  // namespace gfsa::data
