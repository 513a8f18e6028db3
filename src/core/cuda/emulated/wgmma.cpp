// The arithmetic of wgmma: operands are found by their descriptors (PTX ISA manual, "Asynchronous Warpgroup Level
// Matrix Instructions", "Strides" and "Matrix Descriptor Format") and checked 16 bytes at a time.
#include <bit>

#include "core/cuda/emulated/access.h"
#include "core/cuda/emulated/mbarrier.h"
#include "core/cuda/emulated/products.h"
#include "core/dtype.h"

namespace gfsa::emulator {
namespace {
constexpr uint32_t kSteps = 16;  // of k
constexpr uint32_t kPiece = 16, kElements = 8;
constexpr uint32_t kMostColumns = 256;

struct Descriptor {
  uint32_t start, leading, stride;
  explicit Descriptor(uint64_t bits) : start(field(bits, 0)), leading(field(bits, 16)), stride(field(bits, 32)) {}
  static uint32_t field(uint64_t bits, int from) { return static_cast<uint32_t>(bits >> from & 0x3FFFu) << 4; }
};

float low(uint32_t pair) { return std::bit_cast<float>(pair << 16); }
float high(uint32_t pair) { return std::bit_cast<float>(pair & 0xFFFF0000u); }

// Spelled out, as the compiler shuffles more than it multiplies otherwise.
using Four = float __attribute__((vector_size(16)));

// d[16][n] += a[16][16] b[16][n]. Products are exact in f32; the order of the sum is this device's own.
void multiply(const float (&a)[16][kSteps], const float* b, float* d, uint32_t columns) {
  constexpr uint32_t kRows = 2, kFours = 4;
  for (uint32_t n = 0; n < columns; n += 4 * kFours) {
    for (uint32_t m = 0; m < 16; m += kRows) {
      Four sums[kRows][kFours], row[kFours];
      for (uint32_t r = 0; r < kRows; ++r) std::memcpy(sums[r], d + (m + r) * columns + n, sizeof(sums[r]));
      for (uint32_t k = 0; k < kSteps; ++k) {
        std::memcpy(row, b + k * columns + n, sizeof(row));
        for (uint32_t r = 0; r < kRows; ++r) {
          for (uint32_t c = 0; c < kFours; ++c) sums[r][c] += row[c] * a[m + r][k];
        }
      }
      for (uint32_t r = 0; r < kRows; ++r) std::memcpy(d + (m + r) * columns + n, sums[r], sizeof(sums[r]));
    }
  }
}
}  // namespace

// Pieces of the tiles of one product, as one warp reads them.
struct Products::Tile {
  Block& block;
  const Product& product;
  uint32_t warp, clock, site;
  Access checked{};  // the last one that was found in order: neighbours are mostly of one writer

  Tile(Block& b, const Product& p, uint32_t of_warp, uint32_t now)
      : block(b), product(p), warp(of_warp), clock(now), site(site_of(p.shape.where)) {
    checked.clock = ~0u;
  }

  // 8 elements at an address before the swizzle.
  void read(uint32_t plain, float* to, uint32_t step) {
    const uint32_t address = swizzled(plain);
    if (address + kPiece > kSharedAddresses || !all_written<kPiece>(shared_map.states + address)) [[unlikely]] {
      report_bytes(address);
    }
    for (uint32_t i = 0; i < kPiece / 4; ++i) {
      const Access& w = shared_map.words[address / 4 + i].write;
      if (w.clock != checked.clock || w.thread != checked.thread) check_writer(w, address + 4 * i);
    }
    shared_map.product_reads->last[address / kPiece] = clock;
    shared_map.product_reads->by_warp[warp][address / kPiece] = {clock, site};
    uint32_t pairs[kElements / 2];
    std::memcpy(pairs, shared_map.bytes + address, sizeof(pairs));
    for (uint32_t i = 0; i < kElements / 2; ++i) {
      to[2 * i * step] = low(pairs[i]);
      to[(2 * i + 1) * step] = high(pairs[i]);
    }
  }

  void check_writer(const Access& w, uint32_t address) {
    const Where& where = product.shape.where;
    if (!product.known.has(w)) {
      if (Mbarriers::wrote(w)) {
        report(
            FindingKind::missing_wait,
            fmt::format("missing wait: the product here reads byte {} of shared memory, which {} at {} writes; when it "
                        "was issued, not all lanes of warp {} had waited there, nor learnt of it from one that had",
                        address, block.text_of_thread(w.thread), text_of(where_of(w.site)), warp),
            where);
      }
      report(FindingKind::shared_race,
             fmt::format("race in shared memory, byte {}: read by the product here, write by {} at {}, and no barrier "
                         "between, or it was written before the product was waited for",
                         address, block.text_of_thread(w.thread), text_of(where_of(w.site))),
             where);
    }
    if (w.thread < block.threads() && !fenced(w)) {
      report(FindingKind::shared_race,
             fmt::format("race in shared memory, byte {}: read by the product here, write by {} at {}, and no "
                         "fence_async_proxy between: that thread has to call it after the write and before the barrier",
                         address, block.text_of_thread(w.thread), text_of(where_of(w.site))),
             where);
    }
    checked = w;
  }

  // Did its writer fence it, and do the lanes know that it did?
  bool fenced(const Access& w) const {
    const uint32_t known = product.known.clock_of(w.thread);
    const auto& fences = block.thread(w.thread).proxy_fences;
    for (size_t i = fences.size(); i-- > 0 && fences[i] > w.clock;) {
      if (fences[i] <= known) return true;
    }
    return false;
  }

  [[noreturn]] void report_bytes(uint32_t address) const {
    const Where& where = product.shape.where;
    const std::string what = fmt::format("the product here, read of 16 bytes at byte {} of shared memory", address);
    for (uint32_t i = 0; i < kPiece; ++i) {
      const uint8_t state = address + i < kSharedAddresses ? shared_map.states[address + i] : uint8_t{kOutside};
      if (state == kOutside) {
        report(FindingKind::out_of_bounds, "out of bounds: " + what + ", which no array holds", where);
      }
      if (state == kInFlight) {
        block.mbarriers().report_box_over(address + i, what, where);
        report(FindingKind::missing_wait,
               "missing wait: " + what + ", which a copy_async writes that has not been waited for", where);
      }
      if (state == kFresh) {
        report(FindingKind::uninitialised, fmt::format("uninitialised: {}; nobody wrote byte {} of them", what, i),
               where);
      }
    }
    report(FindingKind::out_of_bounds, "out of bounds: " + what, where);
  }
};

void Products::compute(uint32_t warp, Product& p, uint32_t clock) {
  const uint32_t columns = 8 * p.shape.tiles;
  float a[16][kSteps], b[kSteps * kMostColumns];
  Tile tile(block_, p, warp, clock);
  if (p.shape.registers) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      if (!std::equal(p.a[lane].begin(), p.a[lane].end(), p.registers[lane])) {
        report(FindingKind::missing_wait,
               fmt::format("missing wait: lane {} changed a while the product that reads it was under way", lane),
               p.shape.where);
      }
      const uint32_t g = lane / 4, t = lane % 4;
      for (uint32_t r = 0; r < 4; ++r) {
        a[g + r % 2 * 8][2 * t + r / 2 * 8] = low(p.a[lane][r]);
        a[g + r % 2 * 8][2 * t + r / 2 * 8 + 1] = high(p.a[lane][r]);
      }
    }
  } else {
    const Descriptor from(p.shape.a);
    for (uint32_t m = 0; m < 16; ++m) {
      const uint32_t row = warp % 4 * 16 + m;
      for (uint32_t k = 0; k < kSteps; k += kElements) {
        tile.read(from.start + row / 8 * from.stride + row % 8 * kSwizzledRowBytes + 2 * k, &a[m][k], 1);
      }
    }
  }
  const Descriptor from(p.shape.b);
  if (p.shape.major == Major::k) {
    for (uint32_t n = 0; n < columns; ++n) {
      for (uint32_t k = 0; k < kSteps; k += kElements) {
        tile.read(from.start + n / 8 * from.stride + n % 8 * kSwizzledRowBytes + 2 * k, b + k * columns + n, columns);
      }
    }
  } else {
    for (uint32_t k = 0; k < kSteps; ++k) {
      for (uint32_t n = 0; n < columns; n += kElements) {
        tile.read(from.start + n / 64 * from.leading + n % 64 * 2 + k / 8 * from.stride + k % 8 * kSwizzledRowBytes,
                  b + k * columns + n, 1);
      }
    }
  }
  float* const values = p.to->values.data();
  if (!p.shape.accumulate) std::fill(p.to->values.begin(), p.to->values.end(), 0.0f);
  multiply(a, b, values, columns);
}

}  // namespace gfsa::emulator
