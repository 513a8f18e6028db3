#include "base/strings.h"
#include "data/text/text_file.h"
#include "data/text/text_table.h"
#include "fuzz/targets.h"

namespace gfsa::fuzz {

void table(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto how = static_cast<unsigned char>(bytes[0]);
  bytes.remove_prefix(1);
  data::TableFormat format;
  format.kind = how % 3 == 0 ? "tsv" : how % 3 == 1 ? "csv" : "jsonl";
  format.skip_short_rows = (how & 8) != 0;
  if ((how & 16) != 0) format.columns = {"text", "label"};
  accepts([&] {
    const auto names = data::column_names(bytes, "file", format);
    if (names.empty()) return;  // a first object without keys
    const std::vector<std::string> wanted{names.front(), names.back()};
    const auto t = data::parse_table(bytes, "file", format, wanted);
    int64_t before = 0;
    for (const auto& row : t.rows) {
      if (row.line <= before) finding("rows out of order");
      before = row.line;
      if (row.cells.size() != wanted.size()) finding("another number of cells");
      for (const auto& cell : row.cells) {
        if (!is_valid_utf8(cell)) finding("a cell that is no UTF-8");
      }
    }
  });
}

}  // namespace gfsa::fuzz
