// user_table.h -- tables of the user's: CSV, TSV or JSON lines, with the names of the columns in the YAML.
#pragma once

#include <string>
#include <vector>

#include "data/text/text_source.h"

namespace gfsa::data {

struct UserTableConfig final : TextSourceConfig {
  std::string path;
  std::string train_file = "train", val_file = "val", test_file = "test";
  std::string format = "auto";
  std::vector<std::string> columns;
  std::string text = "text", text_pair, label = "label";
  std::vector<std::string> labels;
  bool regression = false;
  void describe(config::Schema& s) override;
  std::unique_ptr<TextSource> open(const std::string& split) const override;
  std::string primary_metric() const override { return regression ? "pearson" : "accuracy"; }
  std::vector<std::string> label_names() const override { return labels; }
};

}  // namespace gfsa::data
