// decode_state.h -- what a causal model keeps of the texts that it is generating: for every attention the keys, values
// and filtered values of the tokens so far (attention/decode.h), and the weights in the type of products.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nn/filtered_attention.h"
#include "ops/linear.h"

namespace gfsa {

class DecodeState {
 public:
  // `rows` empty sequences; room for `capacity` tokens each, which grows.
  DecodeState(int64_t rows, int64_t capacity) : capacity_(capacity), lengths_(static_cast<size_t>(rows), 0) {}

  // Tokens of each row so far.
  const std::vector<int64_t>& lengths() const { return lengths_; }
  // Row i becomes what row from[i] was; there may be more or fewer than before (beams, finished texts).
  void select(const std::vector<int64_t>& from);

  // One attention in a step of TextModel::decode, qkv [rows, M, 3 C] -> [rows, M, C]; `use` as in
  // FilteredAttention::forward.
  Tensor attend(const FilteredAttention& attention, const Tensor& qkv, const std::string& use);

 private:
  friend class TextModel;

  int64_t capacity_;
  std::vector<int64_t> lengths_;
  std::vector<int64_t> counts_;  // of this step: new tokens of each row; empty: all
  std::map<std::pair<const FilteredAttention*, std::string>, AttentionCache> caches_;
  WeightCopies weights_;
};

}  // namespace gfsa
