// text_table.h -- tables as text: TSV without quoting (as GLUE has them), CSV (RFC 4180), JSON lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"

namespace gfsa::data {

struct TableFormat {
  std::string kind = "tsv";  // tsv, csv, jsonl
  std::vector<std::string> columns =
      {};                        // of a tsv or csv file without a heading line; empty: the first line names them
  bool skip_short_rows = false;  // rows that end too early are left out and counted; else bad input
};

struct TextTable {
  struct Row {
    int64_t line = 0;                // where it begins, from 1
    std::vector<std::string> cells;  // one a wanted column
  };
  std::vector<Row> rows;
  int64_t skipped = 0;
};

// The wanted columns of every row, in the order of `wanted`. In CSV and TSV all rows have as many cells as the heading;
// empty lines at the end are passed over. Cells of JSON lines are strings, numbers (as they are written) or truth
// values (1, 0). Bad input "path:line:column": a column that is not there (the message lists those that are), rows that
// are too short or too long, a quote that does not end, what is no JSON object, and what require_text() refuses.
TextTable parse_table(std::string_view text, const std::string& path, const TableFormat& format,
                      const std::vector<std::string>& wanted);
TextTable read_table(Env& env, const std::string& path, const TableFormat& format,
                     const std::vector<std::string>& wanted);

// The columns that there are: of the heading (or format.columns), of the first object.
std::vector<std::string> column_names(std::string_view text, const std::string& path, const TableFormat& format);

// "tsv", "csv" or "jsonl" by the file's name (also .gz); "" if it does not say.
std::string table_kind(const std::string& path);

}  // namespace gfsa::data
