#include "formats/safetensors.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <unordered_set>

#include "base/error.h"
#include "base/strings.h"
#include "formats/safetensors_layout.h"

namespace gfsa {
namespace {

constexpr uint64_t kHeaderAlignment = 8;
constexpr size_t kWriteBytes = 1 << 20;  // hashed and written at a time, while they are in the cache

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
  const uint64_t header_bytes = safetensors_header_bytes(content, bytes, path_);
  const std::string_view json(reinterpret_cast<const char*>(content) + kSafetensorsLengthBytes, header_bytes);
  const std::byte* data = content + kSafetensorsLengthBytes + header_bytes;
  SafetensorsHeader header = parse_safetensors_layout(json, bytes - kSafetensorsLengthBytes - header_bytes, path_);
  metadata_ = std::move(header.metadata);
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

FileChecksums write_safetensors(Env& env, const std::string& path, const std::vector<NamedTensorBytes>& tensors,
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
    if (element == 0)
      fail("{}: tensor '{}': dtype '{}' is not one of {}", path, name, tensor.dtype, safetensors_dtype_names());
    uint64_t bytes = 0;
    if (!safetensors_tensor_bytes(tensor.shape, element, &bytes) || bytes != tensor.bytes) {
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
  if (json.size() > kSafetensorsMaxHeaderBytes)
    fail("{}: header of {} bytes, at most {} are allowed", path, json.size(), kSafetensorsMaxHeaderBytes);
  const uint64_t json_bytes = json.size();
  const std::string head = std::string(reinterpret_cast<const char*>(&json_bytes), sizeof json_bytes) + json;

  FileChecksums sums;
  sums.bytes = head.size() + position;
  sums.header_bytes = head.size();
  sums.header_xxh3_64 = checksum64(head);
  Checksum whole;
  whole.update(head);
  auto file = env.create(path);
  file->append(head);
  for (const size_t i : order) {
    const auto& [name, tensor] = tensors[i];
    Checksum part;
    for (size_t done = 0; done < tensor.bytes; done += kWriteBytes) {
      const size_t n = std::min(kWriteBytes, tensor.bytes - done);
      part.update(tensor.data + done, n);
      whole.update(tensor.data + done, n);
      file->append(tensor.data + done, n);
    }
    sums.tensors_xxh3_64.emplace_back(name, part.text64());
  }
  sums.xxh3_128 = whole.text128();
  file->commit();
  return sums;
}

}  // namespace gfsa
