// cifar_binary.h -- the binary version of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html): records
// of one label byte (CIFAR-100: coarse, then fine) and 3072 pixel bytes (red, green, blue planes of 32 x 32, rows top
// to bottom).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gfsa {

enum class CifarKind { kCifar10, kCifar100 };

inline constexpr int kCifarPixelBytes = 3 * 32 * 32;

struct CifarRecords {
  std::vector<uint8_t> labels;         // [N]; CIFAR-100: the fine label
  std::vector<uint8_t> coarse_labels;  // [N] for CIFAR-100, else empty
  std::vector<uint8_t> images;         // [N, 3, 32, 32]

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
};

// One file of records, e.g. data_batch_1.bin or test.bin, as bytes. Throws bad input that starts with `where`: empty,
// not a whole number of records, a label out of range (with its record).
CifarRecords parse_cifar_binary(std::string_view bytes, CifarKind kind, const std::string& where);
CifarRecords read_cifar_binary(const std::string& path, CifarKind kind);

// The file names of one split inside the archive's folder, and of the text file with the class names.
std::vector<std::string> cifar_files(CifarKind kind, bool train);
std::string cifar_names_file(CifarKind kind);

// The lines of batches.meta.txt or fine_label_names.txt. Throws bad input if there are not 10 or 100.
std::vector<std::string> parse_cifar_names(std::string_view text, CifarKind kind, const std::string& where);

}  // namespace gfsa
