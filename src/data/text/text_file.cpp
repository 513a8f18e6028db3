#include "data/text/text_file.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "formats/gzip.h"

namespace gfsa::data {
namespace {

// Length of the longest valid prefix: by halves, since a valid text's prefix that ends between characters is valid.
size_t valid_prefix(std::string_view text) {
  size_t good = 0;
  while (good < text.size()) {
    size_t length = 1;
    while (length <= 4 && good + length <= text.size() && !is_valid_utf8(text.substr(good, length))) ++length;
    if (length > 4 || good + length > text.size()) break;
    good += length;
  }
  return good;
}

}  // namespace

std::string read_text_file(Env& env, const std::string& path) {
  std::string text = env.read(path);
  if (is_gzip(text)) text = gunzip(text, path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  return text;
}

bool LineReader::next(TextLine& line) {
  if (rest_.empty()) return false;
  const size_t end = std::min(rest_.find('\n'), rest_.size());
  line.text = rest_.substr(0, end);
  line.number = ++number_;
  if (line.text.ends_with('\r')) line.text.remove_suffix(1);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  return true;
}

void require_text(const TextLine& line, const std::string& path, size_t max_bytes) {
  if (line.text.size() > max_bytes) {
    bad_input("{}:{}: a line of {}, expected at most {}; is this a text file?", path, line.number,
              human_bytes(static_cast<double>(line.text.size())), human_bytes(static_cast<double>(max_bytes)));
  }
  if (const size_t zero = line.text.find('\0'); zero != std::string_view::npos) {
    bad_input("{}:{}:{}: a byte 0, expected text", path, line.number, zero + 1);
  }
  if (is_valid_utf8(line.text)) return;
  const size_t at = valid_prefix(line.text);
  bad_input("{}:{}:{}: byte 0x{:02X} is not UTF-8 here; convert the file, for example with iconv -f latin1 -t utf8",
            path, line.number, at + 1, static_cast<unsigned char>(line.text[at]));
}

}  // namespace gfsa::data
