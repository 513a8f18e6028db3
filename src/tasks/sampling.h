// sampling.h -- the next token of a text that is being generated.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/task.h"

namespace gfsa::tasks {

// Of the logits [V] after the tokens so far (prompt included). In this order, as transformers does it:
//   repetition_penalty r   logits of tokens that occurred are divided by r if positive, else multiplied (Keskar et al.
//                          2019, arXiv 1909.05858)
//   temperature            logits / temperature; 0: the most probable token, the first of equals
//   top_k, top_p           only the k most probable tokens; of them the fewest whose probabilities add up to top_p or
//                          more (Holtzman et al. 2020, arXiv 1904.09751); at least one, equals by their ids
// The choice is a function of (seed, text, tokens so far): `text` numbers the prompts.
int32_t sample_token(std::span<const float> logits, const std::vector<int32_t>& so_far,
                     const train::GenerateRequest& request, uint32_t text);

}  // namespace gfsa::tasks
