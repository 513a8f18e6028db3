#include "data/text/text_table.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/strings.h"
#include "data/text/text_file.h"

namespace gfsa::data {
namespace {

using Cells = std::vector<std::string>;

Cells split_at_tabs(std::string_view line) {
  Cells cells;
  for (size_t begin = 0;;) {
    const size_t end = std::min(line.find('\t', begin), line.size());
    cells.emplace_back(line.substr(begin, end - begin));
    if (end == line.size()) return cells;
    begin = end + 1;
  }
}

// A record of CSV may take several lines, where a line's end stands in quotes.
class CsvRecord {
 public:
  CsvRecord(LineReader& lines, const std::string& path) : lines_(lines), path_(path) {}

  // Of the line that was just read, and of as many more as it takes.
  Cells read(TextLine line) {
    const int64_t first = line.number;
    Cells cells{""};
    bool quoted = false, closed = false;  // within quotes; behind the quote that ended the cell
    for (size_t i = 0;; ++i) {
      if (i == line.text.size()) {
        if (!quoted) return cells;
        cells.back() += '\n';
        if (!lines_.next(line)) bad_input("{}:{}: a quoted cell begins here and does not end", path_, first);
        require_text(line, path_);
        i = static_cast<size_t>(-1);
        continue;
      }
      const char c = line.text[i];
      if (quoted) {
        if (c != '"') {
          cells.back() += c;
        } else if (i + 1 < line.text.size() && line.text[i + 1] == '"') {
          cells.back() += '"', ++i;
        } else {
          quoted = false, closed = true;
        }
      } else if (c == ',') {
        cells.emplace_back(), closed = false;
      } else if (closed) {
        // Of a letter beyond ASCII this is one byte of several.
        const bool shown = c >= 0x20 && c < 0x7f;
        bad_input("{}:{}:{}: {} behind a closing quote, expected a comma or the line's end", path_, line.number, i + 1,
                  shown ? fmt::format("'{}'", c) : "a character");
      } else if (c == '"' && cells.back().empty()) {
        quoted = true;
      } else {
        cells.back() += c;
      }
    }
  }

 private:
  LineReader& lines_;
  const std::string& path_;
};

[[noreturn]] void no_column(const std::string& where, const std::string& name, const Cells& columns) {
  bad_input("{}: has no column '{}', but {}{}", where, name, fmt::join(columns, ", "), did_you_mean(name, columns));
}

std::vector<size_t> places_of(const Cells& wanted, const Cells& columns, const std::string& where) {
  std::vector<size_t> places;
  for (const auto& name : wanted) {
    const auto at = std::find(columns.begin(), columns.end(), name);
    if (at == columns.end()) no_column(where, name, columns);
    places.push_back(static_cast<size_t>(at - columns.begin()));
  }
  return places;
}

TextTable parse_delimited(std::string_view text, const std::string& path, const TableFormat& format,
                          const Cells& wanted) {
  LineReader lines(text);
  TextLine line;
  TextTable table;
  Cells columns = format.columns;
  std::optional<std::vector<size_t>> places;
  if (!columns.empty()) places = places_of(wanted, columns, path);
  int64_t empty_line = 0;
  while (lines.next(line)) {
    if (line.text.empty()) {
      if (empty_line == 0) empty_line = line.number;
      continue;
    }
    if (empty_line > 0) bad_input("{}:{}: an empty line, expected {} cells", path, empty_line, columns.size());
    require_text(line, path);
    Cells cells = format.kind == "csv" ? CsvRecord(lines, path).read(line) : split_at_tabs(line.text);
    if (!places) {
      columns = std::move(cells);
      places = places_of(wanted, columns, fmt::format("{}:{}", path, line.number));
      continue;
    }
    if (cells.size() < columns.size() && format.skip_short_rows) {
      table.skipped += 1;
      continue;
    }
    if (cells.size() != columns.size()) {
      bad_input("{}:{}: has {} cells, expected {}: {}{}", path, line.number, cells.size(), columns.size(),
                fmt::join(columns, ", "),
                format.kind == "tsv" && cells.size() == 1
                    ? "; cells are separated by tabs (data.format: csv: by commas)"
                    : "");
    }
    TextTable::Row row{line.number, {}};
    for (const size_t place : *places) row.cells.push_back(cells[place]);
    table.rows.push_back(std::move(row));
  }
  if (!places) bad_input("{}: is empty, expected a line with the names of the columns", path);
  return table;
}

std::string cell_of(const nlohmann::json& value, const std::string& name, const std::string& where) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return value.dump();
  if (value.is_boolean()) return value.get<bool>() ? "1" : "0";
  bad_input("{}: '{}' is {}, expected text or a number", where, name, value.type_name());
}

TextTable parse_json_lines(std::string_view text, const std::string& path, const Cells& wanted) {
  LineReader lines(text);
  TextLine line;
  TextTable table;
  while (lines.next(line)) {
    if (line.text.empty()) continue;
    require_text(line, path);
    const std::string where = fmt::format("{}:{}", path, line.number);
    nlohmann::json j;
    try {
      j = nlohmann::json::parse(line.text);
    } catch (const nlohmann::json::parse_error& e) {
      bad_input("{}:{}: no JSON from here on, expected one object a line", where, e.byte);
    } catch (const nlohmann::json::exception&) {
      bad_input("{}: has a number that no double can hold", where);
    }
    if (!j.is_object()) bad_input("{}: is {}, expected a JSON object", where, j.type_name());
    TextTable::Row row{line.number, {}};
    for (const auto& name : wanted) {
      if (!j.contains(name)) {
        Cells names;
        for (const auto& [key, value] : j.items()) names.push_back(key);
        no_column(where, name, names);
      }
      row.cells.push_back(cell_of(j[name], name, where));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

TextTable parse_table(std::string_view text, const std::string& path, const TableFormat& format,
                      const std::vector<std::string>& wanted) {
  return format.kind == "jsonl" ? parse_json_lines(text, path, wanted) : parse_delimited(text, path, format, wanted);
}

std::vector<std::string> column_names(std::string_view text, const std::string& path, const TableFormat& format) {
  if (!format.columns.empty()) return format.columns;
  LineReader lines(text);
  TextLine line;
  if (!lines.next(line)) bad_input("{}: is empty, expected a table", path);
  require_text(line, path);
  if (format.kind == "tsv") return split_at_tabs(line.text);
  if (format.kind == "csv") return CsvRecord(lines, path).read(line);
  Cells names;
  const auto j = nlohmann::json::parse(line.text, nullptr, false);
  if (!j.is_object()) bad_input("{}:{}: is no JSON object, expected one a line", path, line.number);
  for (const auto& [key, value] : j.items()) names.push_back(key);
  return names;
}

TextTable read_table(Env& env, const std::string& path, const TableFormat& format,
                     const std::vector<std::string>& wanted) {
  return parse_table(read_text_file(env, path), path, format, wanted);
}

std::string table_kind(const std::string& path) {
  const std::string name = path.ends_with(".gz") ? path.substr(0, path.size() - 3) : path;
  for (const char* kind : {"tsv", "csv", "jsonl"}) {
    if (name.ends_with(std::string(".") + kind)) return kind;
  }
  return "";
}

}  // namespace gfsa::data
