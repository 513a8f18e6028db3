// brackets.cpp -- generated texts of brackets; the class is whether every bracket that opens is closed.
#include "base/error.h"
#include "core/philox.h"
#include "data/text/text_source.h"

namespace gfsa::data {
namespace {

TextSample brackets(const std::string& split, int64_t i) {
  RandomSequence rng(RandomKey(0, "brackets." + split), static_cast<uint32_t>(i));
  TextSample sample;
  std::string open;  // brackets that are still to be closed
  for (uint64_t n = 4 + rng.below(12); n > 0; --n) {
    const bool opens = open.empty() || rng.below(2) == 0;
    if (opens) open += "([{"[rng.below(3)];
    const char last = open.back();
    sample.text += opens ? last : last == '(' ? ')' : last == '[' ? ']' : '}';
    sample.text += ' ';
    if (!opens) open.pop_back();
  }
  sample.label = open.empty() ? 1 : 0;
  return sample;
}

struct BracketsConfig final : TextSourceConfig {
  int64_t texts = 1024;

  void describe(config::Schema& s) override {
    s.field("texts", texts).in(1, 1e9).doc("Size of the training split; validation has a quarter of it.");
  }
  std::unique_ptr<TextSource> open(const std::string& split) const override {
    if (split != "train" && split != "val") bad_input("data: brackets has no split '{}', expected train or val", split);
    std::vector<TextSample> samples;
    std::vector<int64_t> lines;  // where each stands, for messages
    for (int64_t i = 0; i < (split == "train" ? texts : (texts + 3) / 4); ++i) {
      samples.push_back(brackets(split, i));
      lines.push_back(i + 1);
    }
    MemoryTexts::Options options;
    options.path = options.kind = "brackets " + split;
    options.class_names = label_names();
    return std::make_unique<MemoryTexts>(std::move(options), std::move(samples), std::move(lines));
  }
  std::string primary_metric() const override { return "accuracy"; }
  std::vector<std::string> label_names() const override { return {"open", "closed"}; }
};

}  // namespace

void register_brackets(config::Registry<TextSourceConfig>& registry) {
  registry.add<BracketsConfig>("brackets", "Brackets, all of them closed or not.");
}

}  // namespace gfsa::data
