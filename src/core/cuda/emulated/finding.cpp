#include "core/cuda/emulated/finding.h"

#include <bit>
#include <cstring>
#include <string_view>

#include "core/cuda/emulated/block.h"

namespace gfsa::emulator {
namespace {
// Where source locations are counted from.
const char anchor = 0;
static_assert(sizeof(Where) == sizeof(void*), "a source location is a pointer to a record of the compiler's");

const char* file_in_project(const Where& where) {
  const char* path = where.file_name();
  for (const char* part : {"/src/", "/tests/"}) {
    if (const char* found = std::strstr(path, part)) return found + 1;
  }
  return path;
}
}  // namespace

std::string text_of(const Where& where) { return fmt::format("{}:{}", file_in_project(where), where.line()); }

bool same_place(const Where& a, const Where& b) {
  return site_of(a) == site_of(b) ||
         (a.line() == b.line() && a.column() == b.column() && std::string_view(a.file_name()) == b.file_name());
}

uint32_t site_of(const Where& where) {
  return static_cast<uint32_t>(std::bit_cast<uintptr_t>(where) - reinterpret_cast<uintptr_t>(&anchor));
}
Where where_of(uint32_t site) {
  return std::bit_cast<Where>(reinterpret_cast<uintptr_t>(&anchor) +
                              static_cast<uintptr_t>(static_cast<int32_t>(site)));
}

void report(FindingKind kind, const std::string& what, const Where& where) {
  if (current_block == nullptr) report_on_host(kind, what);
  const LaunchInfo& launch = current_block->launch();
  const Dim3 b = current_block->index();
  std::string text = fmt::format("emulated device: kernel {}", launch.kernel);
  if (!launch.op.empty()) text += fmt::format(" (op {})", launch.op);
  text +=
      fmt::format(", block ({}, {}, {}) of ({}, {}, {})", b.x, b.y, b.z, launch.grid.x, launch.grid.y, launch.grid.z);
  if (current_thread != nullptr) text += ", " + current_block->text_of_thread(current_thread->id);
  text += fmt::format("\n  {}\n  at {}", what, text_of(where));
  throw Finding(kind, text);
}

void report_on_host(FindingKind kind, const std::string& what) { throw Finding(kind, "emulated device: " + what); }

}  // namespace gfsa::emulator
