// segment_loop.h -- segments.h's pieces on the CPU's threads. Not for kernels' files.
#pragma once

#include <algorithm>
#include <vector>

#include "base/threads.h"
#include "optim/segments.h"

namespace gfsa {

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
