#include "data/text/encoded_texts.h"

#include <algorithm>

#include "base/error.h"
#include "base/threads.h"

namespace gfsa::data {

EncodedTexts::EncodedTexts(const TextSource& source, const tokenizers::Tokenizer& tokenizer, int64_t max_length) {
  constexpr int64_t kGrain = 64, kPiece = 65536;  // texts whose encodings are held at once
  const int64_t n = source.size();
  const tokenizers::EncodeOptions options{.max_length = max_length};
  std::vector<tokenizers::Encoding> piece;
  for (int64_t begin = 0; begin < n; begin += kPiece) {
    const int64_t count = std::min(kPiece, n - begin);
    piece.assign(static_cast<size_t>(count), {});
    parallel_for(count, kGrain, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const TextSample& sample = source.get(begin + i);
        try {
          piece[static_cast<size_t>(i)] = source.has_pairs() ? tokenizer.encode_pair(sample.text, sample.pair, options)
                                                             : tokenizer.encode(sample.text, options);
        } catch (const Error& e) {
          throw Error(e.exit_code(), fmt::format("{}: {}", source.sample_name(begin + i), e.message()));
        }
      }
    });
    for (int64_t i = 0; i < count; ++i) {
      const auto& e = piece[static_cast<size_t>(i)];
      if (e.ids.empty()) {
        bad_input("{}: the text has no tokens, and the tokenizer adds none", source.sample_name(begin + i));
      }
      ids_.insert(ids_.end(), e.ids.begin(), e.ids.end());
      for (const int32_t type : e.types) {
        types_.push_back(static_cast<uint8_t>(type));
        has_types_ = has_types_ || type != 0;
      }
      begins_.push_back(static_cast<int64_t>(ids_.size()));
      if (length(begin + i) > length(longest_)) longest_ = begin + i;
    }
  }
}

}  // namespace gfsa::data
