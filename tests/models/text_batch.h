// text_batch.h -- a few short texts, padded and packed, and a tiny model of every family to read them.
#pragma once

#include <string>
#include <vector>

#include "autograd/autograd.h"
#include "models/text_case.h"

namespace gfsa::test {

inline constexpr auto kClasses = TextHead::classification;
inline constexpr auto kMasked = TextHead::masked_lm;
inline constexpr auto kCausal = TextHead::causal_lm;

struct Family {
  const char* name;
  TextHead head;
};
inline const Family kFamilies[] = {{"bert", kClasses},   {"bert", kMasked},    {"roberta", kClasses},
                                   {"roberta", kMasked}, {"albert", kClasses}, {"albert", kMasked},
                                   {"gpt2", kCausal}};

inline std::string tiny(const Family& f, const std::string& more = "") {
  return fmt::format("{{name: {}, width: 16, depth: 2, heads: 2, mlp_width: 24, vocabulary: 29, positions: 12{}{}}}",
                     f.name, f.name == std::string("albert") ? ", embedding_width: 8" : "", more);
}
inline constexpr const char* kFilter = "{variant: gfsa, K: 3, w0: 0.05}";

inline const std::vector<int64_t> kLengths{5, 1, 8, 3};

// Texts of kLengths, side by side, with what padded and packed batches need of them.
struct Texts {
  std::vector<int64_t> ids, segments, positions, offsets{0};
  Texts() {
    for (size_t s = 0; s < kLengths.size(); ++s) {
      for (int64_t i = 0; i < kLengths[s]; ++i) {
        ids.push_back((7 * static_cast<int64_t>(ids.size()) + 3) % 29);
        segments.push_back(i > 2 ? 1 : 0);
        positions.push_back(i);
      }
      offsets.push_back(static_cast<int64_t>(ids.size()));
    }
  }
  TextInputs packed(Device device = {}) const {
    const auto n = static_cast<int64_t>(ids.size());
    TextInputs in;
    in.ids = Tensor::from<int64_t>({1, n}, ids).to(device);
    in.segments = Tensor::from<int64_t>({1, n}, segments).to(device);
    in.positions = Tensor::from<int64_t>({1, n}, positions).to(device);
    in.offsets = Tensor::from<int64_t>({static_cast<int64_t>(offsets.size())}, offsets).to(device);
    in.longest = 8;
    return in;
  }
  // `width` tokens a row, of which kLengths are real; rows: those of real tokens, in the order of the packed ones.
  TextInputs padded(int64_t width, Device device = {}) const {
    const auto b = static_cast<int64_t>(kLengths.size());
    std::vector<int64_t> padded_ids(static_cast<size_t>(b * width), 0), padded_segments = padded_ids, rows;
    for (int64_t s = 0; s < b; ++s) {
      for (int64_t i = 0; i < kLengths[static_cast<size_t>(s)]; ++i) {
        const auto to = static_cast<size_t>(s * width + i);
        const auto from = static_cast<size_t>(offsets[static_cast<size_t>(s)] + i);
        padded_ids[to] = ids[from];
        padded_segments[to] = segments[from];
        rows.push_back(s * width + i);
      }
    }
    TextInputs in;
    in.ids = Tensor::from<int64_t>({b, width}, padded_ids).to(device);
    in.segments = Tensor::from<int64_t>({b, width}, padded_segments).to(device);
    in.lengths = Tensor::from<int64_t>({b}, kLengths).to(device);
    in.rows = Tensor::from<int64_t>({static_cast<int64_t>(rows.size())}, rows).to(device);
    return in;
  }
  TextInputs alone(size_t s) const {
    const int64_t n = kLengths[s];
    const auto cut = [&](const std::vector<int64_t>& all) {
      const auto first = all.begin() + offsets[s];
      return Tensor::from<int64_t>({1, n}, std::vector<int64_t>(first, first + n));
    };
    TextInputs in;
    in.ids = cut(ids);
    in.segments = cut(segments);
    return in;
  }
};

inline std::vector<double> logits(const TextSubject& s, const TextInputs& in) {
  const NoGrad guard;
  return s.model->forward(in, s.context).to_vector<double>();
}

// The classifier's input as its logits: both products the identity, with small numbers, which tanh leaves alone.
inline void show_input(TextSubject& s) {
  for (const Parameter& p : s.store.parameters()) {
    const bool is_dense = p.name.find(".dense.") != std::string::npos || p.name.find("pooler.") != std::string::npos;
    const bool in_head = p.name.find("pooler") != std::string::npos || p.name.starts_with("classifier");
    if (!in_head) continue;
    p.value.fill(0);
    for (int64_t i = 0; p.shape.rank() == 2 && i < 16; ++i) p.value.data<double>()[i * 17] = is_dense ? 1e-6 : 1e6;
  }
}

}  // namespace gfsa::test
