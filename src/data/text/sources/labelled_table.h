// labelled_table.h -- rows of a table as texts with labels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "data/text/text_source.h"
#include "data/text/text_table.h"

namespace gfsa::data {

struct LabelledTable {
  std::string path, kind;  // kind: for the fingerprint
  TableFormat format;
  std::string text, pair, label, id;     // columns; "": there is none (id: the row's number from 0)
  std::vector<std::string> labels;       // as the label column has them; empty: it holds scores
  std::vector<std::string> class_names;  // of the labels; empty: the labels themselves

  // Bad input "path:line" of what parse_table refuses, of a label that is none of `labels`, of a score that is no
  // finite number, of a file without rows.
  std::unique_ptr<TextSource> open(Env& env) const;
};

}  // namespace gfsa::data
