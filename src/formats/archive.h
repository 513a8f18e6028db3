// archive.h -- .tar and .tar.gz (and what else libarchive unpacks: .tar.xz, .tar.bz2, .tar.zst), read front to back
// without unpacking to disk.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace gfsa {

// Goes through the regular files of an archive in their order. Folders are passed over; a leading "./" is taken off
// names. Every function throws bad input naming the archive, and the entry where there is one: not an archive,
// truncated (also when only the end marker is missing), a gzip checksum that does not match, a name that is absolute or
// holds "..", a name seen before, a link or device.
class ArchiveReader {
 public:
  explicit ArchiveReader(const std::string& path);
  ~ArchiveReader();
  ArchiveReader(ArchiveReader&&) noexcept;
  ArchiveReader& operator=(ArchiveReader&&) noexcept;

  // Moves to the next file; false at the end of the archive.
  bool next();
  // Of the current file.
  const std::string& name() const;
  uint64_t size() const;
  // The current file's bytes; at most once a file. A file that is not read is skipped.
  std::string read();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A member's name for messages: names are any bytes, messages are UTF-8 without control characters.
std::string printable_name(std::string_view name);

// Members of an archive, in memory, in archive order.
struct ArchiveIndex {
  struct Member {
    std::string name;
    std::string bytes;
  };
  std::string path;
  std::vector<Member> members;
  uint64_t total_bytes = 0;

  // Throws bad input naming the archive and the nearest member if there is none of that name.
  const Member& at(const std::string& name) const;
  const Member* find(const std::string& name) const;

  std::unordered_map<std::string, size_t> by_name;
};

// Reads an archive once and keeps every member for which keep(name) is true (all, if keep is empty). Throws bad input
// if the members kept are more than max_bytes together.
ArchiveIndex read_archive(const std::string& path, const std::function<bool(std::string_view name)>& keep = {},
                          uint64_t max_bytes = UINT64_MAX);

}  // namespace gfsa
