// value.h -- one key's value as text: what is expected, from YAML, to YAML.
#pragma once

#include <string>
#include <string_view>

#include "config/schema.h"

namespace gfsa::config {

// "a number > 0", "an integer in [1, 8] or null", "softmax or gfsa", "a list of 2 numbers in [0, 1]".
std::string expectation(const FieldInfo& field);

// One element (range and choices included). quoted: the YAML had quotes around it. Returns what is wrong, in words that
// follow the key ("'x' is not a number, expected a number > 0"), or "" and the value. Numbers are finite decimals; an
// integer field also takes 1e5; booleans are true and false only.
std::string parse_element(const FieldInfo& field, std::string_view text, bool quoted, Scalar& value);

// The current value as YAML on one line, such that parsing gives the same value again (doubles: shortest that
// round-trips).
std::string print_value(const FieldInfo& field);

// A text as a YAML scalar: plain where that is safe, else in double quotes.
std::string yaml_text(std::string_view text);

// For messages: control characters escaped, cut after 60 bytes.
std::string shown(std::string_view text);

}  // namespace gfsa::config
