// Products of warpgroups: issue, wait, and what is wrong with either. wgmma.cpp has the arithmetic.
#include "core/cuda/emulated/products.h"

#include <algorithm>

namespace gfsa::emulator {
namespace {
constexpr uint32_t kWarpsOfGroup = 4;
constexpr uint32_t kInFlightBits = 0x7FA0DEADu;  // a signalling NaN: arithmetic with it does not give it back

const ProductCall& call_of(void* const* calls, uint32_t lane) { return *static_cast<const ProductCall*>(calls[lane]); }

bool same(const ProductShape& a, const ProductShape& b) {
  return a.a == b.a && a.b == b.b && a.registers == b.registers && a.accumulate == b.accumulate && a.major == b.major &&
         a.tiles == b.tiles && a.group == b.group && same_place(a.where, b.where);
}

std::string describe(const ProductShape& s) {
  std::string text = s.registers ? "a in registers" : fmt::format("a {:#x}", s.a);
  return text + fmt::format(", b {:#x}, {}, group {} of products, at {}", s.b, s.accumulate ? "accumulating" : "from 0",
                            s.group, text_of(s.where));
}

void require_descriptor(uint64_t descriptor, const char* which, const Where& where) {
  // Bits 49 to 51: the base offset, of tiles that do not start at a multiple of 1024 bytes.
  if (descriptor >> 62 == 1 && (descriptor >> 49 & 7u) == 0) return;
  report(FindingKind::bad_launch,
         fmt::format("wgmma: descriptor {} {:#x} has swizzle mode {} and base offset {}; the emulated device knows the "
                     "128-byte swizzle (mode 1) from multiples of 1024 bytes on",
                     which, descriptor, descriptor >> 62, descriptor >> 49 & 7u),
         where);
}
}  // namespace

bool Products::Knowledge::has(const Access& past) const {
  if (past.clock <= ordered) return true;
  return std::all_of(groups.begin(), groups.end(), [&](const Group& g) {
    if (g.view != nullptr && past.thread < g.view->size() && past.clock <= (*g.view)[past.thread]) return true;
    return past.thread - first_thread < kLanes && g.lanes == 1u << (past.thread - first_thread);  // its own
  });
}

uint32_t Products::Knowledge::clock_of(uint32_t thread) const {
  uint32_t least = clock;
  for (const Group& g : groups) {
    if (thread - first_thread < kLanes && g.lanes == 1u << (thread - first_thread)) continue;
    const uint32_t told = g.view != nullptr && thread < g.view->size() ? (*g.view)[thread] : 0;
    least = std::min(least, std::max(told, ordered));
  }
  return least;
}

void Products::start_block() {
  warps_.clear();
  warps_.resize((block_.threads_ + kLanes - 1) / kLanes);
  warpgroups_.clear();
  warpgroups_.resize((warps_.size() + kWarpsOfGroup - 1) / kWarpsOfGroup);
}

void Products::end_block() const {
  for (size_t g = 0; g < warpgroups_.size(); ++g) {
    if (warpgroups_[g].issued.empty()) continue;
    std::string counts;
    for (size_t w = g * kWarpsOfGroup; w < (g + 1) * kWarpsOfGroup; ++w) {
      counts += fmt::format("{}{}", counts.empty() ? "" : ", ", warps_[w].issued);
    }
    report(FindingKind::divergent_barrier,
           fmt::format("divergent warpgroup: warps {} to {} issued {} products: all four issue the same",
                       g * kWarpsOfGroup, g * kWarpsOfGroup + 3, counts),
           warpgroups_[g].issued.front().where);
  }
}

void Products::require_none_in_flight(const Thread& t) const {
  if (t.warp >= warps_.size() || warps_[t.warp].products.empty()) return;
  const Product& p = warps_[t.warp].products.front();
  report(
      FindingKind::missing_wait,
      fmt::format("missing wait: this thread ends with {} products that it has not waited for{}",
                  warps_[t.warp].products.size(), p.shape.group == t.product_group ? "; they were not committed" : ""),
      p.shape.where);
}

void Products::fence() {
  Thread& t = *current_thread;
  t.access.clock = ++block_.clock_;
  t.proxy_fences.push_back(t.access.clock);
}

void Products::start(ProductCall& call) {
  Thread& t = *current_thread;
  call.shape.group = t.product_group;
  t.product_where = call.shape.where;
  if (!t.wgmma_fenced) {
    report(FindingKind::missing_wait,
           "missing wgmma_fence: accumulators and registers may have been touched since the last wgmma_wait, or were "
           "never fenced",
           call.shape.where);
  }
  const uint32_t group = t.warp / kWarpsOfGroup;
  if (block_.threads_ < (group + 1) * kWarpsOfGroup * kLanes) {
    report(FindingKind::bad_launch,
           fmt::format("wgmma in a block of {} threads: warp {} belongs to no whole warpgroup of 128", block_.threads_,
                       t.warp),
           call.shape.where);
  }
  const Complete complete = [](Block& block, uint32_t warp, void* const* calls, uint32_t) {
    block.products().issue(warp, calls);
  };
  block_.collective(Collective::wgmma, kAllLanes, &call, complete, call.shape.where);
}

void Products::issue(uint32_t warp, void* const* calls) {
  const ProductShape& shape = call_of(calls, 0).shape;
  for (uint32_t lane = 1; lane < kLanes; ++lane) {
    const ProductShape& other = call_of(calls, lane).shape;
    if (same(shape, other)) continue;
    report(FindingKind::divergent_barrier,
           fmt::format("divergent warp: lanes 0 and {} of warp {} issue different products\n  {}\n  {}", lane, warp,
                       describe(shape), describe(other)),
           shape.where);
  }
  if (!shape.registers) require_descriptor(shape.a, "a", shape.where);
  require_descriptor(shape.b, "b", shape.where);
  compare_with_other_warps(warp, shape);
  Product p;
  p.shape = shape;
  p.to = accumulator(warp, calls);
  ++p.to->products;
  if (shape.registers) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      p.registers[lane] = call_of(calls, lane).registers;
      std::copy(p.registers[lane], p.registers[lane] + 4, p.a[lane].begin());
    }
  }
  p.known = knowledge(warp);
  warps_[warp].products.push_back(std::move(p));
}

void Products::compare_with_other_warps(uint32_t warp, const ProductShape& shape) {
  const uint32_t first_warp = warp / kWarpsOfGroup * kWarpsOfGroup;
  Warpgroup& group = warpgroups_[warp / kWarpsOfGroup];
  const uint64_t number = warps_[warp].issued++;
  if (number - group.first == group.issued.size()) {
    group.issued.push_back(shape);
  } else if (const ProductShape& other = group.issued[number - group.first]; !same(shape, other)) {
    report(FindingKind::divergent_barrier,
           fmt::format("divergent warpgroup: product number {} of warp {} is another one than that of a warp of the "
                       "same warpgroup\n  {}\n  {}",
                       number, warp, describe(shape), describe(other)),
           shape.where);
  }
  uint64_t by_all = warps_[first_warp].issued;
  for (uint32_t w = 1; w < kWarpsOfGroup; ++w) by_all = std::min(by_all, warps_[first_warp + w].issued);
  while (group.first < by_all) {
    group.issued.pop_front();
    ++group.first;
  }
}

// d, which is nobody's from now on.
Products::Accumulator* Products::accumulator(uint32_t warp, void* const* calls) {
  auto& list = warps_[warp].accumulators;
  const ProductShape& shape = call_of(calls, 0).shape;
  const float* const begin = call_of(calls, 0).d;
  const float* const end = begin + shape.tiles * 4;
  for (const auto& a : list) {
    if (a->d[0] == begin && a->tiles == shape.tiles) return a.get();
    if (a->d[0] >= end || begin >= a->d[0] + a->tiles * 4) continue;
    report(FindingKind::missing_wait, "missing wait: d overlaps the accumulators of a product that is under way",
           shape.where);
  }
  list.push_back(std::make_unique<Accumulator>());
  Accumulator& a = *list.back();
  a.tiles = shape.tiles;
  const uint32_t columns = 8 * shape.tiles;
  a.values.resize(16 * columns);
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    float* const d = a.d[lane] = call_of(calls, lane).d;
    float* const values = a.values.data() + lane / 4 * columns + lane % 4 * 2;
    for (uint32_t n = 0; n < a.tiles; ++n) {
      for (uint32_t i = 0; i < 4; ++i) {
        values[i / 2 * 8 * columns + 8 * n + i % 2] = d[4 * n + i];
        std::memcpy(d + 4 * n + i, &kInFlightBits, sizeof(float));
      }
    }
  }
  return &a;
}

void Products::give_back(Accumulator& a, const Where& where) const {
  const uint32_t columns = 8 * a.tiles;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    float* const d = a.d[lane];
    const float* const values = a.values.data() + lane / 4 * columns + lane % 4 * 2;
    for (uint32_t n = 0; n < a.tiles; ++n) {
      for (uint32_t i = 0; i < 4; ++i) {
        if (std::memcmp(d + 4 * n + i, &kInFlightBits, sizeof(float)) != 0) {
          report(FindingKind::missing_wait,
                 fmt::format("missing wait: lane {} changed d[{}][{}] while a product that writes it was under way",
                             lane, n, i),
                 where);
        }
        d[4 * n + i] = values[i / 2 * 8 * columns + 8 * n + i % 2];
      }
    }
  }
}

Products::Knowledge Products::knowledge(uint32_t warp) const {
  Knowledge now{ordered_clock, block_.clock_, warp * kLanes, {}};
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    const View& view = block_.thread_[warp * kLanes + lane].view;
    const auto same_view = [&](const Knowledge::Group& g) { return g.view == view; };
    const auto group = std::find_if(now.groups.begin(), now.groups.end(), same_view);
    if (group == now.groups.end()) {
      now.groups.push_back({view, 1u << lane});
    } else {
      group->lanes |= 1u << lane;
    }
  }
  return now;
}

void Products::wait(uint32_t groups_left, const AddressRange* named, size_t count) {
  WaitCall call{groups_left, named, count};
  Thread& t = *current_thread;
  t.wgmma_fenced = false;
  const Complete complete = [](Block& block, uint32_t warp, void* const* calls, uint32_t) {
    block.products().finish(warp, calls);
  };
  block_.collective(Collective::wgmma_wait, kAllLanes, &call, complete, t.product_where);
}

void Products::finish(uint32_t warp, void* const* calls) {
  const auto& first = *static_cast<const WaitCall*>(calls[0]);
  Warp& w = warps_[warp];
  const uint32_t committed = block_.thread_[warp * kLanes].product_group;
  for (uint32_t lane = 1; lane < kLanes; ++lane) {
    if (block_.thread_[warp * kLanes + lane].product_group == committed &&
        static_cast<const WaitCall*>(calls[lane])->groups_left == first.groups_left) {
      continue;
    }
    report(FindingKind::divergent_barrier,
           fmt::format("divergent warp: lanes 0 and {} of warp {} wait for different groups of products", lane, warp),
           block_.thread_[warp * kLanes].product_where);
  }
  size_t n = 0;
  while (n < w.products.size() && w.products[n].shape.group + first.groups_left < committed) ++n;
  if (n == 0) return;
  const uint32_t clock = ++block_.clock_;
  for (size_t i = 0; i < n; ++i) {
    Product& p = w.products[i];
    compute(warp, p, clock);
    if (--p.to->products != 0) continue;
    const auto at = reinterpret_cast<uintptr_t>(p.to->d[0]);
    const bool is_named = std::any_of(first.named, first.named + first.count,
                                      [&](const AddressRange& r) { return r.begin <= at && at < r.end; });
    if (!is_named) {
      report(FindingKind::missing_wait,
             "missing wait: the wgmma_wait that ends this product does not name its accumulators", p.shape.where);
    }
    give_back(*p.to, p.shape.where);
    std::erase_if(w.accumulators, [&](const auto& a) { return a.get() == p.to; });
  }
  w.products.erase(w.products.begin(), w.products.begin() + static_cast<std::ptrdiff_t>(n));
  teach(warp, clock);
}

// The lanes know that their products up to now have read what they read.
void Products::teach(uint32_t warp, uint32_t clock) {
  const uint32_t reader = block_.reader_of_products(warp);
  View from, to;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    View& view = block_.thread_[warp * kLanes + lane].view;
    if (to == nullptr || view != from) {
      from = view;
      std::vector<uint32_t> next = view != nullptr ? *view : std::vector<uint32_t>();
      if (next.size() < block_.view_size()) next.resize(block_.view_size());
      next[reader] = clock;
      to = std::make_shared<const std::vector<uint32_t>>(std::move(next));
    }
    view = to;
  }
}

}  // namespace gfsa::emulator
