#include "data/text/text_data_config.h"

#include "base/error.h"
#include "data/registry.h"

namespace gfsa::data {
namespace {

std::shared_ptr<const TextSource> open_limited(const TextSourceConfig* source, const std::string& split,
                                               int64_t limit) {
  if (source == nullptr) bad_input("data.source is not set, expected {}", one_of(text_source_registry().names()));
  return limit_texts(source->open(split), limit);
}

}  // namespace

void TextDataConfig::describe(config::Schema& s) {
  s.variant("source", source, text_source_registry(), "Where the texts come from.");
  s.field("train_split", train_split).not_empty().doc("The source's split to train on.");
  s.field("val_split", val_split).not_empty().doc("The split to evaluate on.");
  s.field("limit", limit).at_least(0).unit("texts").doc("Train on so many, evenly spaced in the source; 0: all.");
  s.field("val_limit", val_limit).at_least(0).unit("texts").doc("Evaluate on so many, likewise; 0: all.");
  s.field("max_length", max_length)
      .at_least(3)
      .unit("tokens")
      .doc("Longer texts are cut, special tokens included; of a pair the longer text first.")
      .source("128: run_glue of transformers and the GFSA reference code");
  s.field("batching", batching)
      .choices({"auto", "padded", "packed"})
      .doc(
          "padded: texts are filled up to the longest of their batch. packed: they stand side by side, and none sees "
          "another: no arithmetic is spent on padding. The result is the same but for rounding. auto: padded.");
  s.field("order", order)
      .choices({"by_length", "shuffled"})
      .doc("by_length: a batch has texts of about one length, in shuffled batches. shuffled: any texts.");
  loader.describe(s);
}

std::shared_ptr<const TextSource> TextDataConfig::open_train() const {
  return open_limited(source.get(), train_split, limit);
}
std::shared_ptr<const TextSource> TextDataConfig::open_val() const {
  return open_limited(source.get(), val_split, val_limit);
}
std::shared_ptr<const TextSource> TextDataConfig::open(const std::string& split) const {
  if (split == "val" || split == val_split) return open_val();
  if (split == "train" || split == train_split) return open_train();
  return open_limited(source.get(), split, 0);
}

}  // namespace gfsa::data
