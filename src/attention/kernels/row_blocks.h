// row_blocks.h -- how the two-pass form cuts a head's matrix: rows in blocks, and a block's keys in tiles of kSquare,
// one after the other.
#pragma once

#include <algorithm>

#include "attention/kernels/tile_rows.h"

namespace gfsa::kernels {

struct RowBlocks {
  static constexpr int64_t kBlockBytes = 512 << 10;  // of one block: a quarter to a half of a second-level cache
  static constexpr int64_t kKeptBytes = 5 << 20;     // of the whole matrix, kept between passes

  int64_t n, rows, count, tile;  // tile: elements from one to the next
  int64_t tiles;                 // a block
  bool kept;

  // unit: rows that products compute at once.
  RowBlocks(const Problem& p, int64_t passes, size_t element, int64_t unit)
      : n(p.rows), tiles((p.keys + kSquare - 1) / kSquare) {
    const int64_t row_bytes = std::max<int64_t>(1, tiles) * kSquare * static_cast<int64_t>(element);
    const int64_t wanted = p.block_rows > 0 ? p.block_rows : kBlockBytes / row_bytes / unit * unit;
    rows = std::clamp(round_up(wanted, unit), unit, kSquare);
    tile = rows * kSquare;
    count = (n + rows - 1) / rows;
    kept = passes > 1 &&
           (count == 1 || (p.block_rows == 0 && count * tiles * tile * static_cast<int64_t>(element) <= kKeptBytes));
  }
  // Elements of the matrix that are stored at once, and those before block i.
  int64_t stored() const { return (kept ? count : 1) * tiles * tile; }
  int64_t offset(int64_t i) const { return kept ? i * tiles * tile : 0; }
  int64_t rows_of(int64_t i) const { return std::min(rows, n - i * rows); }

  // f(place, elements before the tile) for each tile of block i that holds keys below `width` that may be seen.
  template <class F>
  void for_each_tile(const Problem& p, int64_t width, int64_t i, const F& f) const {
    TilePlace at{.row0 = i * rows, .rows = rows_of(i), .causal = p.causal};
    const int64_t end = p.causal ? std::min(width, at.row0 + at.rows) : width;
    for (int64_t t = 0; at.key0 < end; ++t, at.key0 += kSquare) {
      at.keys = std::min(kSquare, end - at.key0);
      f(std::as_const(at), t * tile);
    }
  }
};

}  // namespace gfsa::kernels
