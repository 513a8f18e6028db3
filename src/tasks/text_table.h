// text_table.h -- aligned columns for a terminal, quoted fields for CSV.
#pragma once

#include <string>
#include <vector>

namespace gfsa::tasks {

using TextRow = std::vector<std::string>;

// Rows of one length, the first the heading. The first `text_columns` are aligned on the left; numbers stand on the
// right of their column. Every line ends with a line feed and without spaces.
std::string text_table(const std::vector<TextRow>& rows, size_t text_columns);

// A figure with four decimals; "-" if there is none (not finite).
std::string number_text(double x);

// Quoted where it holds a comma, a quote or a line's end (RFC 4180).
std::string csv_text(const std::string& text);

}  // namespace gfsa::tasks
