// segments.h -- a store's parameters cut into pieces that one thread updates in one go. The cut depends on the shapes
// alone, so that a step gives the same bits for any number of threads.
#pragma once

#include <cstdint>

namespace gfsa {

struct Segment {
  int64_t begin = 0;  // first element, in the flat buffers
  int64_t count = 0;  // at least 1, at most kSegmentElements; never across two parameters
  int group = 0;      // index into the optimizer's groups
  int parameter = 0;  // index into the optimizer's parameters
};

// Four f32 streams of one segment stay within a core's second-level cache.
inline constexpr int64_t kSegmentElements = 8192;

}  // namespace gfsa
