// row_blocks.h -- how the two-pass form cuts a head's matrix.
#pragma once

#include <algorithm>

#include "attention/kernels/probabilities.h"
#include "ops/register_tile.h"

namespace gfsa::kernels {

// Leading dimension of rows of `columns` elements: whole vectors, but no multiple of a page (rows would share cache
// sets).
inline int64_t row_step(int64_t columns) {
  const int64_t step = round_up(std::max<int64_t>(columns, 1), 16);
  return step % 1024 == 0 ? step + 16 : step;
}

struct RowBlocks {
  static constexpr int64_t kBlockBytes = 512 << 10;  // one block of scores: half of a usual second-level cache
  static constexpr int64_t kKeptBytes = 4 << 20;     // the whole matrix, kept between passes

  int64_t n, ld, rows, count;
  bool kept;

  RowBlocks(const Problem& p, int64_t passes, size_t element) : n(p.rows), ld(row_step(p.keys)) {
    const auto row_bytes = ld * static_cast<int64_t>(element);
    int64_t wanted = p.block_rows > 0 ? p.block_rows : std::max<int64_t>(16, kBlockBytes / row_bytes / 16 * 16);
    // Causal: the corner above the diagonal is skipped block by block.
    if (p.causal && p.block_rows == 0) wanted = std::min(wanted, std::max<int64_t>(64, round_up(n / 8, 16)));
    count = std::max<int64_t>(1, (n + wanted - 1) / wanted);
    rows = std::max<int64_t>(1, (n + count - 1) / count);
    if (count > 1 && p.block_rows == 0) rows = round_up(rows, 16);
    count = std::max<int64_t>(1, (n + rows - 1) / rows);
    kept = passes > 1 && (count == 1 || (p.block_rows == 0 && n * row_bytes <= kKeptBytes));
  }
  int64_t stored_rows() const { return kept ? n : std::min(rows, n); }
  RowBlock block(const Problem& p, int64_t width, int64_t i) const {
    RowBlock b{i * rows, std::min(rows, n - i * rows), width};
    if (p.causal) b.width = std::min(width, b.row0 + b.rows);
    return b;
  }
  // Elements from the start of the stored rows to block i.
  int64_t offset(int64_t i) const { return kept ? i * rows * ld : 0; }
};

}  // namespace gfsa::kernels
