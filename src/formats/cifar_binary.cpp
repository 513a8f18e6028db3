#include "formats/cifar_binary.h"

#include <algorithm>

#include "base/env.h"
#include "base/error.h"

namespace gfsa {
namespace {

constexpr int kFineClasses[] = {10, 100};
constexpr int kCoarseClasses = 20;

int classes_of(CifarKind kind) { return kFineClasses[kind == CifarKind::kCifar100]; }
const char* name_of(CifarKind kind) { return kind == CifarKind::kCifar100 ? "CIFAR-100" : "CIFAR-10"; }

}  // namespace

CifarRecords parse_cifar_binary(std::string_view bytes, CifarKind kind, const std::string& where) {
  const size_t label_bytes = kind == CifarKind::kCifar100 ? 2 : 1;
  const size_t record_bytes = label_bytes + kCifarPixelBytes;
  if (bytes.empty() || bytes.size() % record_bytes != 0) {
    bad_input("{}: has {} bytes, expected a whole number of {} records of {} bytes{}", where, bytes.size(),
              name_of(kind), record_bytes, bytes.empty() ? "" : ": truncated, or another data set");
  }
  const size_t n = bytes.size() / record_bytes;
  CifarRecords records;
  records.labels.reserve(n);
  records.images.reserve(n * kCifarPixelBytes);
  const auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
  for (size_t i = 0; i < n; ++i, p += record_bytes) {
    if (label_bytes == 2) {
      if (p[0] >= kCoarseClasses) {
        bad_input("{}: record {}: coarse label {} is not below {}", where, i, p[0], kCoarseClasses);
      }
      records.coarse_labels.push_back(p[0]);
    }
    const uint8_t label = p[label_bytes - 1];
    if (label >= classes_of(kind)) {
      bad_input("{}: record {}: label {} is not below {}", where, i, label, classes_of(kind));
    }
    records.labels.push_back(label);
    records.images.insert(records.images.end(), p + label_bytes, p + record_bytes);
  }
  return records;
}

CifarRecords read_cifar_binary(const std::string& path, CifarKind kind) {
  return parse_cifar_binary(Env::real().read(path), kind, path);
}

std::vector<std::string> cifar_files(CifarKind kind, bool train) {
  if (kind == CifarKind::kCifar100) return {train ? "train.bin" : "test.bin"};
  if (!train) return {"test_batch.bin"};
  return {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"};
}

std::string cifar_names_file(CifarKind kind) {
  return kind == CifarKind::kCifar100 ? "fine_label_names.txt" : "batches.meta.txt";
}

std::vector<std::string> parse_cifar_names(std::string_view text, CifarKind kind, const std::string& where) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) names.push_back(std::move(line));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (names.size() != static_cast<size_t>(classes_of(kind))) {
    bad_input("{}: holds {} class names, expected {}", where, names.size(), classes_of(kind));
  }
  return names;
}

}  // namespace gfsa
