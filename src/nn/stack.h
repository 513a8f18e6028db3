// stack.h -- what a model does with its blocks, one after the other: construction, recomputation, coefficients.
//
// Blocks are numbered by their scopes: "encoder.layer.3". `optimizer.layer_decay` knows them by that, and takes what is
// declared before the first of them for the embeddings, what comes after the last for the head.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "autograd/autograd.h"
#include "core/profile.h"
#include "params/parameters.h"

namespace gfsa {

// Block(s / 0, args..., 0), Block(s / 1, args..., 1), ...
template <class Block, class... Args>
std::vector<Block> make_stack(const Scope& s, int64_t depth, const Args&... args) {
  std::vector<Block> blocks;
  blocks.reserve(static_cast<size_t>(depth));
  for (int64_t i = 0; i < depth; ++i) blocks.emplace_back(s / i, args..., i);
  return blocks;
}

// block.forward(x, args...); with `recompute` it keeps nothing for backward, which runs it a second time. The arguments
// are copied for that, the block is not.
template <class Block, class... Args>
Tensor run_block(bool recompute, const Block& block, const Tensor& x, const Args&... args) {
  const auto forward = [&block](const Tensor& in, const Args&... given) {
    const ProfileRange range("block", profile::Kind::module);
    return block.forward(in, given...);
  };
  if (!recompute) return forward(x, args...);
  return checkpoint([forward, args...](const std::vector<Tensor>& in) { return forward(in[0], args...); }, {x});
}

// The filter's learned parameters in all blocks, by their names in the store. attention: the blocks' member.
template <class Block, class Attention>
std::vector<std::pair<std::string, Tensor>> coefficients_of(const std::vector<Block>& blocks,
                                                            Attention Block::*attention) {
  std::vector<std::pair<std::string, Tensor>> all;
  for (const Block& block : blocks) {
    for (const auto& entry : (block.*attention).learned_coefficients()) all.push_back(entry);
  }
  return all;
}

}  // namespace gfsa
