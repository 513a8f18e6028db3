// text_source.h -- texts and pairs of texts with a class or a number each: what text classification is about.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/schema.h"
#include "data/source.h"

namespace gfsa::data {

struct TextSample {
  std::string text = {}, pair = {};  // pair: the second text, where the source has pairs
  int64_t label = -1;                // in [0, class_names().size()); -1: not known
  double score = 0;                  // regression
  std::string id = {};               // what a submission calls the sample
};

class TextSource : public Source {
 public:
  virtual const TextSample& get(int64_t index) const = 0;
  virtual bool has_pairs() const = 0;
  // Whether every sample has a label or score; test sets often have none.
  virtual bool is_labelled() const = 0;
  virtual const std::vector<std::string>& class_names() const = 0;  // empty: regression
};

// The keys beside `data.source`, and what they open.
class TextSourceConfig {
 public:
  virtual ~TextSourceConfig() = default;
  virtual void describe(config::Schema& s) = 0;
  // split: "train", "val", "test" or a name that the source has. Bad input if it has none such, or of its files.
  virtual std::unique_ptr<TextSource> open(const std::string& split) const = 0;
  // The metric that decides, by its name in tasks/text_metrics.h.
  virtual std::string primary_metric() const = 0;
  // The classes' names as files have them (what predictions are written as); empty: regression.
  virtual std::vector<std::string> label_names() const = 0;
  // The range of scores that predictions are cut to, where there is one: GLUE's STS-B, 0 to 5.
  virtual std::pair<double, double> score_range() const { return {-HUGE_VAL, HUGE_VAL}; }
};

// Texts that are held in memory.
class MemoryTexts : public TextSource {
 public:
  struct Options {
    std::string path, kind;  // for messages and the fingerprint
    bool pairs = false, labelled = true;
    std::vector<std::string> class_names;
  };
  MemoryTexts(Options options, std::vector<TextSample> samples, std::vector<int64_t> lines);

  int64_t size() const override { return static_cast<int64_t>(samples_.size()); }
  std::string sample_name(int64_t index) const override;  // path:line
  std::string fingerprint() const override { return fingerprint_; }
  const TextSample& get(int64_t index) const override { return samples_[static_cast<size_t>(index)]; }
  bool has_pairs() const override { return options_.pairs; }
  bool is_labelled() const override { return options_.labelled; }
  const std::vector<std::string>& class_names() const override { return options_.class_names; }

 private:
  Options options_;
  std::vector<TextSample> samples_;
  std::vector<int64_t> lines_;
  std::string fingerprint_;
};

// The samples floor(i * size / count), i < count. `source` itself if it has no more.
std::shared_ptr<const TextSource> limit_texts(std::shared_ptr<const TextSource> source, int64_t count);

}  // namespace gfsa::data
