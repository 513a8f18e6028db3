// strings.h -- names and units in messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gfsa {

// The candidate with the smallest Damerau-Levenshtein distance to `name` (case ignored), or "" if none is near enough
// to be a likely slip (distance at most a third of the longer name, at least 1).
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

// "; did you mean 'X'?" or "" -- the tail of every "unknown name" message.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

// "a, b or c"
std::string one_of(const std::vector<std::string>& choices);

std::string human_bytes(double bytes);      // 1.5 GiB
std::string human_count(int64_t count);     // 22,050,736
std::string human_seconds(double seconds);  // 2 h 05 min, 3 min 12 s, 4.2 s

// Shell-style pattern with * and ? against the whole of `text`.
bool matches_glob(std::string_view pattern, std::string_view text);

bool is_valid_utf8(std::string_view text);

// FNV-1a, 64 bit: stream names, cache keys. Not for checksums of files (those use XXH3).
constexpr uint64_t hash_name(std::string_view text) {
  uint64_t h = 14695981039346656037ull;
  for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return h;
}

}  // namespace gfsa
