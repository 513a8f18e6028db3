// segments.h -- a store's parameters cut into pieces that one thread updates in one go. The cut depends on the shapes
// alone, so that a step gives the same bits for any number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/threads.h"

namespace gfsa {

struct Segment {
  int64_t begin = 0;  // first element, in the flat buffers
  int64_t count = 0;  // at least 1, at most kSegmentElements; never across two parameters
  int group = 0;      // index into the optimizer's groups
  int parameter = 0;  // index into the optimizer's parameters
};

// Four f32 streams of one segment stay within a core's second-level cache.
inline constexpr int64_t kSegmentElements = 8192;

// body(index, segment) for every segment, in parallel. Segments (or anything with `begin` and `count`) are sorted by
// `begin`; threads get equal shares of elements, not of segments, since a model has many tiny parameters.
template <class Piece, class Body>
void for_each_segment(const std::vector<Piece>& segments, const Body& body) {
  if (segments.empty()) return;
  const int64_t total = segments.back().begin + segments.back().count;
  parallel_for(total, 4 * kSegmentElements, [&](int64_t begin, int64_t end) {
    const auto first = std::lower_bound(segments.begin(), segments.end(), begin,
                                        [](const Piece& s, int64_t element) { return s.begin < element; });
    for (auto s = first; s != segments.end() && s->begin < end; ++s) body(s - segments.begin(), *s);
  });
}

}  // namespace gfsa
