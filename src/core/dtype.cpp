#include "core/dtype.h"

#include <array>

namespace gfsa {
namespace {
struct Info {
  std::string_view name;
  size_t size;
};
constexpr std::array<Info, 7> kInfo{
    {{"f64", 8}, {"f32", 4}, {"bf16", 2}, {"i64", 8}, {"i32", 4}, {"u8", 1}, {"bool", 1}}};
}  // namespace

size_t size_of(DType dtype) { return kInfo[static_cast<size_t>(dtype)].size; }
std::string_view name_of(DType dtype) { return kInfo[static_cast<size_t>(dtype)].name; }
bool is_floating(DType dtype) { return dtype == DType::f64 || dtype == DType::f32 || dtype == DType::bf16; }
DType accumulator_of(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

}  // namespace gfsa
