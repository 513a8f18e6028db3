// text_file.h -- text as it comes: packed or not, with a byte order mark or without, one line or many.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"

namespace gfsa::data {

// The file's text, unpacked if it is gzip, without a byte order mark. Bad input: what Env and gunzip refuse.
std::string read_text_file(Env& env, const std::string& path);

// One line of a text, without its end ("\n" or "\r\n").
struct TextLine {
  std::string_view text;
  int64_t number = 0;  // from 1
};

// The lines of a text, one after the other. A text that ends with a line's end has no empty line behind it.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}
  bool next(TextLine& line);

 private:
  std::string_view rest_;
  int64_t number_ = 0;
};

// Bad input, "path:line:column: ...", if the line is no UTF-8, holds a byte 0 or has more than max_bytes. Columns count
// bytes from 1.
constexpr size_t kLongestLine = size_t{1} << 20;
void require_text(const TextLine& line, const std::string& path, size_t max_bytes = kLongestLine);

}  // namespace gfsa::data
