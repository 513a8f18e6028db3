#include "formats/safetensors.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <unordered_set>

#include "base/error.h"
#include "base/strings.h"
#include "formats/safetensors_header.h"

namespace gfsa {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is used in place, which is little endian");

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the format's reference implementation
constexpr uint64_t kHeaderAlignment = 8;

struct NamedSize {
  const char* dtype;
  size_t bytes;
};
constexpr NamedSize kDtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                                 {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};

std::string dtype_names() {
  std::vector<std::string> names;
  for (const NamedSize& d : kDtypes) names.emplace_back(d.dtype);
  return one_of(names);
}

// Bytes of a tensor, or false if they do not fit into 64 bits.
bool tensor_bytes(const std::vector<int64_t>& shape, size_t element_bytes, uint64_t* bytes) {
  *bytes = element_bytes;
  for (const int64_t n : shape) {
    if (n < 0 || __builtin_mul_overflow(*bytes, static_cast<uint64_t>(n), bytes)) return false;
  }
  return true;
}

void check_entry(const SafetensorsEntry& e, uint64_t data_bytes, const std::string& path) {
  const size_t element = safetensors_element_bytes(e.dtype);
  if (element == 0) {
    bad_input("{}: tensor '{}': dtype '{}' is not known, expected {}", path, e.name, e.dtype, dtype_names());
  }
  if (e.end > data_bytes) {
    bad_input("{}: tensor '{}': ends at byte {} of the data, but the file has {}: truncated?", path, e.name, e.end,
              data_bytes);
  }
  uint64_t bytes = 0;
  if (!tensor_bytes(e.shape, element, &bytes)) {
    bad_input("{}: tensor '{}': shape [{}] is too large", path, e.name, fmt::join(e.shape, ", "));
  }
  if (bytes != e.end - e.begin) {
    bad_input("{}: tensor '{}': {} of shape [{}] takes {} bytes, but data_offsets [{}, {}] hold {}", path, e.name,
              e.dtype, fmt::join(e.shape, ", "), bytes, e.begin, e.end, e.end - e.begin);
  }
}

void check_layout(const std::vector<SafetensorsEntry>& entries, uint64_t data_bytes, const std::string& path) {
  std::vector<const SafetensorsEntry*> order;
  for (const SafetensorsEntry& e : entries) order.push_back(&e);
  std::stable_sort(order.begin(), order.end(),
                   [](auto* a, auto* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  uint64_t position = 0;
  const SafetensorsEntry* previous = nullptr;
  for (const SafetensorsEntry* e : order) {
    if (e->begin < position) {
      bad_input("{}: tensor '{}': begins at byte {}, inside of tensor '{}', which ends at {}", path, e->name, e->begin,
                previous->name, position);
    }
    if (e->begin > position) {
      bad_input("{}: tensor '{}': begins at byte {}, but the data before it ends at {}: a hole", path, e->name,
                e->begin, position);
    }
    position = e->end;
    previous = e;
  }
  if (position != data_bytes) {
    bad_input("{}: {} bytes follow the last tensor, expected none", path, data_bytes - position);
  }
}

// The whole file, mapped read-only.
std::shared_ptr<const void> map_file(const std::string& path, size_t* bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) bad_input("{}: cannot be read: {}", path, std::strerror(errno));
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  struct stat st {};
  if (::fstat(fd, &st) != 0) bad_input("{}: cannot be read: {}", path, std::strerror(errno));
  if (!S_ISREG(st.st_mode))
    bad_input("{}: is {}, expected a file", path, S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
  const size_t size = *bytes = static_cast<size_t>(st.st_size);
  if (size == 0) return nullptr;
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) fail("{}: cannot be mapped into memory: {}", path, std::strerror(errno));
  return std::shared_ptr<const void>(address, [size](const void* p) { ::munmap(const_cast<void*>(p), size); });
}

}  // namespace

size_t safetensors_element_bytes(std::string_view dtype) {
  for (const NamedSize& d : kDtypes) {
    if (dtype == d.dtype) return d.bytes;
  }
  return 0;
}

SafetensorsFile SafetensorsFile::open(const std::string& path) {
  SafetensorsFile file;
  file.path_ = path;
  size_t bytes = 0;
  file.content_ = map_file(path, &bytes);
  file.read_header(static_cast<const std::byte*>(file.content_.get()), bytes);
  return file;
}

SafetensorsFile SafetensorsFile::parse(std::string content, const std::string& where) {
  SafetensorsFile file;
  file.path_ = where;
  const auto shared = std::make_shared<const std::string>(std::move(content));
  file.content_ = std::shared_ptr<const void>(shared, shared->data());
  file.read_header(reinterpret_cast<const std::byte*>(shared->data()), shared->size());
  return file;
}

void SafetensorsFile::read_header(const std::byte* content, size_t bytes) {
  if (bytes < kLengthBytes) bad_input("{}: has {} bytes, expected a safetensors file (at least 8)", path_, bytes);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, content, kLengthBytes);
  if (header_bytes > kMaxHeaderBytes) {
    bad_input("{}: not a safetensors file: header of {} bytes, expected at most {}", path_, header_bytes,
              kMaxHeaderBytes);
  }
  if (header_bytes > bytes - kLengthBytes) {
    bad_input("{}: truncated: header of {} bytes in a file of {}", path_, header_bytes, bytes);
  }
  const std::string_view json(reinterpret_cast<const char*>(content) + kLengthBytes, header_bytes);
  if (json.empty() || json[0] != '{')
    bad_input("{}: not a safetensors file: the header does not start with '{{'", path_);
  SafetensorsHeader header = parse_safetensors_header(json, path_);
  const uint64_t data_bytes = bytes - kLengthBytes - header_bytes;
  for (const SafetensorsEntry& e : header.entries) check_entry(e, data_bytes, path_);
  check_layout(header.entries, data_bytes, path_);

  metadata_ = std::move(header.metadata);
  const std::byte* data = content + kLengthBytes + header_bytes;
  for (SafetensorsEntry& e : header.entries) {
    names_.push_back(e.name);
    tensors_[e.name] = {std::move(e.dtype), std::move(e.shape), data + e.begin, static_cast<size_t>(e.end - e.begin)};
  }
}

const TensorBytes& SafetensorsFile::at(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) {
    bad_input("{}: no tensor '{}' among {}{}", path_, name, names_.size(), did_you_mean(name, names_));
  }
  return it->second;
}

void write_safetensors(Env& env, const std::string& path, const std::vector<NamedTensorBytes>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  SafetensorsHeader header;
  header.metadata = metadata;
  for (const auto& [key, value] : metadata) {
    if (!is_valid_utf8(key) || !is_valid_utf8(value)) fail("{}: metadata '{}' is not UTF-8", path, key);
  }
  std::unordered_set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    if (name.empty() || name == "__metadata__" || !is_valid_utf8(name)) {
      fail("{}: '{}' cannot be a tensor's name", path, name);
    }
    if (!names.insert(name).second) fail("{}: two tensors named '{}'", path, name);
    const size_t element = safetensors_element_bytes(tensor.dtype);
    if (element == 0) fail("{}: tensor '{}': dtype '{}' is not one of {}", path, name, tensor.dtype, dtype_names());
    uint64_t bytes = 0;
    if (!tensor_bytes(tensor.shape, element, &bytes) || bytes != tensor.bytes) {
      fail("{}: tensor '{}': {} bytes given for {} of shape [{}]", path, name, tensor.bytes, tensor.dtype,
           fmt::join(tensor.shape, ", "));
    }
    header.entries.push_back({name, tensor.dtype, tensor.shape, 0, 0});
  }

  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return safetensors_element_bytes(tensors[a].second.dtype) > safetensors_element_bytes(tensors[b].second.dtype);
  });
  uint64_t position = 0;
  for (const size_t i : order) {
    header.entries[i].begin = position;
    header.entries[i].end = position += tensors[i].second.bytes;
  }

  std::string json = safetensors_header_json(header);
  json.append((kHeaderAlignment - json.size() % kHeaderAlignment) % kHeaderAlignment, ' ');
  if (json.size() > kMaxHeaderBytes)
    fail("{}: header of {} bytes, at most {} are allowed", path, json.size(), kMaxHeaderBytes);
  const uint64_t header_bytes = json.size();
  auto file = env.create(path);
  file->append(&header_bytes, sizeof header_bytes);
  file->append(json);
  for (const size_t i : order) file->append(tensors[i].second.data, tensors[i].second.bytes);
  file->commit();
}

}  // namespace gfsa
