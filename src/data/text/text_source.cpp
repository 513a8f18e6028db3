#include "data/text/text_source.h"

#include "base/error.h"

namespace gfsa::data {
namespace {

class LimitedTexts : public TextSource {
 public:
  LimitedTexts(std::shared_ptr<const TextSource> source, int64_t count) : source_(std::move(source)), count_(count) {}
  int64_t size() const override { return count_; }
  std::string sample_name(int64_t i) const override { return source_->sample_name(place(i)); }
  std::string fingerprint() const override { return fmt::format("{} of {}", count_, source_->fingerprint()); }
  const TextSample& get(int64_t i) const override { return source_->get(place(i)); }
  bool has_pairs() const override { return source_->has_pairs(); }
  bool is_labelled() const override { return source_->is_labelled(); }
  const std::vector<std::string>& class_names() const override { return source_->class_names(); }

 private:
  int64_t place(int64_t i) const { return i * source_->size() / count_; }
  std::shared_ptr<const TextSource> source_;
  int64_t count_;
};

}  // namespace

MemoryTexts::MemoryTexts(Options options, std::vector<TextSample> samples, std::vector<int64_t> lines)
    : options_(std::move(options)), samples_(std::move(samples)), lines_(std::move(lines)) {
  Fingerprint hash;
  for (const auto& name : options_.class_names) hash.add(name);
  for (const auto& s : samples_) {
    hash.add(s.text);
    hash.add(s.pair);
    hash.add(s.label);
    hash.add(&s.score, sizeof s.score);
  }
  fingerprint_ = fmt::format("{} {} {}", options_.kind, samples_.size(), hash.hex());
}

std::string MemoryTexts::sample_name(int64_t index) const {
  return fmt::format("{}:{}", options_.path, lines_[static_cast<size_t>(index)]);
}

std::shared_ptr<const TextSource> limit_texts(std::shared_ptr<const TextSource> source, int64_t count) {
  if (count == 0 || source->size() <= count) return source;
  return std::make_shared<LimitedTexts>(std::move(source), count);
}

}  // namespace gfsa::data
