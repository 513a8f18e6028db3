#include "data/text/sources/user_table.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/strings.h"
#include "data/text/sources/labelled_table.h"
#include "data/text/text_file.h"

namespace gfsa::data {
namespace {

const std::vector<std::string> kEndings{"", ".tsv", ".csv", ".jsonl", ".tsv.gz", ".csv.gz", ".jsonl.gz"};

// The file as it is named, below the folder, with or without its ending.
std::string find_table(const std::string& folder, const std::string& name) {
  Env& env = Env::real();
  const std::string stem = folder.empty() || name.starts_with('/') ? name : folder + "/" + name;
  for (const auto& ending : kEndings) {
    if (env.exists(stem + ending) && !env.is_directory(stem + ending)) return stem + ending;
  }
  const size_t slash = stem.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : stem.substr(0, slash);
  if (!env.is_directory(parent)) bad_input("data.path: there is no folder {}", parent);
  bad_input("data: there is no {} (nor with .tsv, .csv, .jsonl or these and .gz){}", stem,
            did_you_mean(name, env.list(parent)));
}

// "" if the file does not have the column.
std::string labels_found(const std::string& path, const TableFormat& format, const std::string& label) {
  constexpr size_t kMostShown = 20;
  std::set<std::string> found;
  for (const auto& row : read_table(Env::real(), path, format, {label}).rows) found.insert(row.cells[0]);
  std::string out;
  size_t shown = 0;
  for (const auto& name : found) {
    if (++shown > kMostShown) return out + ", ...";
    out += (out.empty() ? "" : ", ") + name;
  }
  return out;
}

}  // namespace

void UserTableConfig::describe(config::Schema& s) {
  s.field("path", path).doc("The folder that the files are in; empty: they are named with their own.");
  s.field("train_file", train_file).not_empty().doc("To train on; .tsv, .csv, .jsonl (also .gz) may be left out.");
  s.field("val_file", val_file).not_empty().doc("To evaluate on.");
  s.field("test_file", test_file).not_empty().doc("To predict; its labels may be missing.");
  s.field("format", format)
      .choices({"auto", "tsv", "csv", "jsonl"})
      .doc("auto: by the file's name. tsv: without quoting, as in GLUE; csv: RFC 4180; jsonl: an object a line.");
  s.field("columns", columns).doc("Names of the columns of a csv or tsv file without a heading line.");
  s.field("text", text).not_empty().doc("The column with the text.");
  s.field("text_pair", text_pair).doc("The column with the second text of pairs; empty: single texts.");
  s.field("label", label)
      .not_empty()
      .doc("The column with the class or the number; of jsonl, the object's key, as for the others.");
  s.field("labels", labels)
      .doc("All values that the label column may have, in the order of the model's outputs; needed unless regression.");
  s.field("regression", regression).doc("The label column holds numbers, and the model learns to say them.");
  s.check(regression == labels.empty() || labels.empty(), "labels", "are of classes; leave them out with regression");
}

std::unique_ptr<TextSource> UserTableConfig::open(const std::string& split) const {
  const std::string& file = split == "train"  ? train_file
                            : split == "val"  ? val_file
                            : split == "test" ? test_file
                                              : split;
  LabelledTable table;
  table.path = find_table(path, file);
  table.kind = "table " + split;
  table.format.kind = format == "auto" ? table_kind(table.path) : format;
  table.format.columns = columns;
  if (table.format.kind.empty()) {
    bad_input("data.format: {} does not tell by its name whether it is tsv, csv or jsonl; say which", table.path);
  }
  if (!regression && labels.empty()) {
    bad_input("data.labels: must list the classes (or set data.regression); in {} column '{}' has: {}", table.path,
              label, labels_found(table.path, table.format, label));
  }
  table.text = text;
  table.pair = text_pair;
  table.label = label;
  table.labels = labels;
  if (split != "train" && split != "val") {  // what is to be predicted may come without labels
    const auto names = column_names(read_text_file(Env::real(), table.path), table.path, table.format);
    if (std::find(names.begin(), names.end(), label) == names.end()) table.label.clear();
  }
  return table.open(Env::real());
}

void register_user_table(config::Registry<TextSourceConfig>& registry) {
  registry.add<UserTableConfig>("table", "Tables of your own: TSV, CSV or JSON lines.");
}

}  // namespace gfsa::data
