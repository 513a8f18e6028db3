// warpgroup_tiles.h -- tiles of bf16 in shared memory as warpgroups use them: brought by TMA, multiplied by wgmma.
//
// A block is three warpgroups. One warp of the first brings tiles into a ring of stages, in the order in which they are
// used, as far ahead as there are stages. The other two (consumers) own 64 rows each; products of one run while the
// other is busy with exponentials. A stage is full when its bytes are there, and empty again when each warp of the
// consumers has said so. Registers go to those who need them.
//
// A tile is 64 rows of kColumns numbers: one panel of 64 columns behind the other, each in the 128-byte swizzle.
// Columns beyond the head size are zeros, as they lie outside of the tensor; so are rows beyond it. Rows that belong to
// somebody else (hidden keys, the next packed sequence) may hold anything, and 0 times anything is no 0: the producer
// clears them before it passes the tile on.
#pragma once

#include "attention/kernels/cuda/scores.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

inline constexpr int kTileRows = 64, kGroupThreads = 128, kGroupWarps = 4, kConsumers = 2;
inline constexpr int kBlockThreads = (1 + kConsumers) * kGroupThreads, kBlockRows = kConsumers * kTileRows;
// Registers of a thread: the compiler gives each 168 (65536 / 384), and 40 and 232 make as many of them all.
inline constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;
inline constexpr int64_t kWarpgroupShared = 227 << 10;  // of a block, compute capability 9.0
inline constexpr int kMostStages = 8;

// Where tiles of one head come from. Rows from `extent` on lie outside of what the map describes.
struct TileSource {
  const TensorMap* map;
  int row0, head, batch, link, extent;
};
GFSA_DEVICE TileSource source_of(const TensorMap& map, const Scores& c, int b, int h, bool of_keys, int link = 0) {
  const bool packed = c.offsets != nullptr;
  return {&map, packed ? c.first : 0, h, packed ? 0 : b, link, packed ? c.total - c.first : of_keys ? c.keys : c.rows};
}

// A Chain's maps.
struct ChainMaps {
  TensorMap alone, others;
  int alone_at = 0;
  GFSA_DEVICE TileSource source(int t, const Scores& c, int b, int h, bool of_keys) const {
    return t == alone_at ? source_of(alone, c, b, h, of_keys)
                         : source_of(others, c, b, h, of_keys, t - (alone_at == 0 ? 1 : 0));
  }
};

template <int kColumns>
class WarpgroupTiles {
 public:
  static constexpr int kPanels = kColumns / static_cast<int>(kBoxColumns);
  static constexpr int kPanelElements = kTileRows * static_cast<int>(kBoxColumns), kPanelBytes = 2 * kPanelElements;
  static constexpr int kTileElements = kPanels * kPanelElements, kTileBytes = 2 * kTileElements;
  static constexpr int64_t bytes(int own_tiles, int stages) {
    return int64_t{own_tiles * kConsumers + stages} * kTileBytes +
           (kFirstStage + 2 * stages) * static_cast<int64_t>(sizeof(Mbarrier));
  }

  GFSA_DEVICE WarpgroupTiles(int own_tiles, int stages) : own_tiles_(own_tiles), stages_(stages) {
    const int64_t tiles = int64_t{own_tiles} * kConsumers + stages;
    tiles_ = dynamic_shared<bfloat16>(0, tiles * kTileElements);
    barriers_ = dynamic_shared<Mbarrier>(tiles * kTileBytes, kFirstStage + 2 * stages);
  }
  // All threads, once.
  GFSA_DEVICE void start(Where where = Where::current()) const {
    if (thread_x() == 0) {
      mbarrier_init(barriers_, kOwn, static_cast<uint32_t>(own_tiles_ * kConsumers), where);
      mbarrier_init(barriers_, kLanded, 1, where);
      for (int stage = 0; stage < stages_; ++stage) {
        mbarrier_init(barriers_, full(stage), 1, where);
        mbarrier_init(barriers_, empty(stage), kConsumers * kGroupWarps, where);
      }
      mbarrier_init_fence(where);
    }
    sync_block(where);
  }

 protected:
  // Barriers: own tiles are there; a tile that is to be cleared has landed; then a stage's.
  static constexpr int kOwn = 0, kLanded = 1, kFirstStage = 2;
  GFSA_DEVICE int full(int stage) const { return kFirstStage + 2 * stage; }
  GFSA_DEVICE int empty(int stage) const { return kFirstStage + 2 * stage + 1; }
  GFSA_DEVICE auto own_tile(int i, int consumer) const { return tiles_ + (i * kConsumers + consumer) * kTileElements; }
  GFSA_DEVICE auto stage_tile(int stage) const { return tiles_ + (own_tiles_ * kConsumers + stage) * kTileElements; }
  // The next stage in turn; each time the ring is through, the parity of its barriers' phases changes.
  GFSA_DEVICE void advance() {
    if (++stage_ < stages_) return;
    stage_ = 0;
    parity_ ^= 1;
  }

  int own_tiles_, stages_;
  Shared<bfloat16> tiles_;
  Shared<Mbarrier> barriers_;
  int stage_ = 0;
  uint32_t parity_ = 0;
};

// One warp.
template <int kColumns>
class Producer : public WarpgroupTiles<kColumns> {
  using Tiles = WarpgroupTiles<kColumns>;

 public:
  GFSA_DEVICE explicit Producer(const Tiles& tiles) : Tiles(tiles) {}

  // Rows from `first` on as own tiles number i of all consumers. Rows from `end` on become zeros.
  GFSA_DEVICE void bring_own(int i, const TileSource& from, int first, int end, Where where = Where::current()) {
    for (int consumer = 0; consumer < kConsumers; ++consumer) {
      bring_to(this->own_tile(i, consumer), Tiles::kOwn, from, first + consumer * kTileRows, end, where);
    }
  }
  // The same into the next stage.
  GFSA_DEVICE void bring(const TileSource& from, int first, int end, Where where = Where::current()) {
    mbarrier_wait(this->barriers_, this->empty(this->stage_), this->parity_ ^ 1, where);
    bring_to(this->stage_tile(this->stage_), this->full(this->stage_), from, first, end, where);
    this->advance();
  }

 private:
  GFSA_DEVICE void bring_to(Shared<bfloat16> tile, int barrier, const TileSource& from, int first, int end,
                            Where where) {
    const bool cut = first + kTileRows > end && end < from.extent;
    if (lane() == 0) {
      const int tell = cut ? Tiles::kLanded : barrier;
      mbarrier_arrive_expect(this->barriers_, tell, Tiles::kTileBytes, where);
      for (int panel = 0; panel < Tiles::kPanels; ++panel) {
        copy_box_async(tile, panel * Tiles::kPanelElements, *from.map,
                       {panel * static_cast<int>(kBoxColumns), from.row0 + first, from.head, from.batch, from.link},
                       this->barriers_, tell, where);
      }
    }
    if (!cut) return;
    mbarrier_wait(this->barriers_, Tiles::kLanded, landed_, where);
    landed_ ^= 1;
    clear_rows(tile, end > first ? end - first : 0, where);
    fence_async_proxy(where);
    sync_warp(kAllLanes, where);
    if (lane() == 0) mbarrier_arrive(this->barriers_, barrier, where);
  }
  // Whole rows: the swizzle moves nothing from one to another.
  GFSA_DEVICE static void clear_rows(Shared<bfloat16> tile, int from, Where where) {
    constexpr int kPiece = 8, kPieces = static_cast<int>(kBoxColumns) / kPiece;
    Vector<bfloat16, kPiece> zeros;
    for (int i = 0; i < kPiece; ++i) zeros[i] = to_bfloat16(0.0f);
    for (int at = static_cast<int>(lane()); at < (kTileRows - from) * Tiles::kPanels * kPieces; at += 32) {
      const int row = from + at / kPieces % (kTileRows - from), panel = at / kPieces / (kTileRows - from);
      store_vector(tile, panel * Tiles::kPanelElements + row * static_cast<int>(kBoxColumns) + at % kPieces * kPiece,
                   zeros, where);
    }
  }

  uint32_t landed_ = 0;
};

// A warpgroup that multiplies. All of its threads.
template <int kColumns>
class Consumer : public WarpgroupTiles<kColumns> {
  using Tiles = WarpgroupTiles<kColumns>;

 public:
  static constexpr int kSteps = kColumns / 16;  // of a product over columns
  using OwnRows = uint32_t[kSteps][4];

  GFSA_DEVICE explicit Consumer(const Tiles& tiles) : Tiles(tiles) {}

  GFSA_DEVICE int number() const { return static_cast<int>(warp()) / kGroupWarps - 1; }
  GFSA_DEVICE void wait_for_own(Where where = Where::current()) const {
    mbarrier_wait(this->barriers_, Tiles::kOwn, 0, where);
  }
  // The next stage, once it is full; and that this warp is done with a stage.
  GFSA_DEVICE int take(Where where = Where::current()) {
    const int stage = this->stage_;
    mbarrier_wait(this->barriers_, this->full(stage), this->parity_, where);
    this->advance();
    return stage;
  }
  GFSA_DEVICE void release(int stage, Where where = Where::current()) const {
    if (lane() == 0) mbarrier_arrive(this->barriers_, this->empty(stage), where);
  }

  // This warp's rows of own tile i, for products whose left operand they are.
  GFSA_DEVICE void load_own(OwnRows& rows, int i, Where where = Where::current()) const {
    const int l = static_cast<int>(lane()), row = static_cast<int>(warp()) % kGroupWarps * kWarpRows + l % 16;
    const auto tile = this->own_tile(i, number());
    GFSA_UNROLL
    for (int step = 0; step < kSteps; ++step) {
      const int piece = 2 * step + l / 16, in_panel = piece % 8 ^ row % static_cast<int>(kSwizzledRows);
      ldmatrix(rows[step],
               tile + (piece / 8 * Tiles::kPanelElements + row * static_cast<int>(kBoxColumns) + in_panel * 8), where);
    }
  }

  // Start products; the caller fences before, commits and waits after.
  // d = (d +) own rows times the rows of the stage, transposed.
  GFSA_DEVICE void multiply_transposed(float (&d)[kTileRows / 8][4], const OwnRows& own, int stage,
                                       bool accumulate = false, Where where = Where::current()) const {
    GFSA_UNROLL
    for (int step = 0; step < kSteps; ++step) {
      wgmma<Major::k>(d, own[step], along_rows(this->stage_tile(stage), step), accumulate || step > 0, where);
    }
  }
  // The same with own tile i where it lies.
  GFSA_DEVICE void multiply_transposed(float (&d)[kTileRows / 8][4], int i, int stage, bool accumulate = false,
                                       Where where = Where::current()) const {
    GFSA_UNROLL
    for (int step = 0; step < kSteps; ++step) {
      wgmma<Major::k>(d, along_rows(this->own_tile(i, number()), step), along_rows(this->stage_tile(stage), step),
                      accumulate || step > 0, where);
    }
  }
  // d += p times the rows of the stage.
  GFSA_DEVICE void multiply(float (&d)[kColumns / 8][4], const RowOperand<bfloat16, kTileRows>& p, int stage,
                            Where where = Where::current()) const {
    constexpr uint32_t kStepBytes = 16 * kSwizzledRowBytes;
    GFSA_UNROLL
    for (int step = 0; step < kTileRows / 16; ++step) {
      const uint32_t address = shared_address(this->stage_tile(stage)) + static_cast<uint32_t>(step) * kStepBytes;
      wgmma<Major::mn>(d, p.pairs[step], matrix_descriptor(address, Tiles::kPanelBytes, kGroupBytes), true, where);
    }
  }

 private:
  static constexpr uint32_t kGroupBytes = kSwizzledRows * kSwizzledRowBytes;
  // 16 columns of a tile.
  GFSA_DEVICE static uint64_t along_rows(Shared<bfloat16> tile, int step) {
    const uint32_t address =
        shared_address(tile) + static_cast<uint32_t>(step / 4 * Tiles::kPanelBytes + step % 4 * 32);
    return matrix_descriptor(address, 16, kGroupBytes);
  }
};

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
