#include "formats/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <unordered_set>

#include "base/error.h"
#include "base/strings.h"
#include "formats/gzip.h"

namespace gfsa {
namespace {

constexpr int64_t kTarBlock = 512;

std::string without_dot_slash(std::string name) {
  while (name.rfind("./", 0) == 0) name.erase(0, 2);
  return name;
}

bool leaves_folder(const std::string& name) {
  if (name.empty() || name[0] == '/') return true;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    if (name.compare(begin, end - begin, "..") == 0) return true;
    begin = end + 1;
  }
  return false;
}

const char* type_name(unsigned type) {
  if (type == AE_IFLNK) return "a symbolic link";
  if (type == AE_IFCHR || type == AE_IFBLK) return "a device";
  if (type == AE_IFIFO || type == AE_IFSOCK) return "a pipe or socket";
  return "of an unknown kind";
}

}  // namespace

std::string printable_name(std::string_view name) {
  const bool utf8 = is_valid_utf8(name);
  std::string out;
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7F || (!utf8 && u >= 0x80)) {
      out += fmt::format("\\x{:02x}", u);
    } else {
      out += c;
    }
  }
  return out;
}

struct ArchiveReader::State {
  std::string path;
  GzipFileReader file;
  archive* handle = nullptr;
  archive_entry* entry = nullptr;
  std::string name;
  std::unordered_set<std::string> seen;
  std::exception_ptr read_error;  // what file.read() threw; it must not fly through libarchive's C
  bool has_data = false;          // the current entry's bytes were not read or skipped yet

  explicit State(const std::string& archive_path) : path(archive_path), file(archive_path) {
    handle = archive_read_new();
    if (handle == nullptr) fail("{}: libarchive could not start", path);
  }
  ~State() { archive_read_free(handle); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  static la_ssize_t on_read(archive* a, void* client, const void** buffer) {
    auto& state = *static_cast<State*>(client);
    try {
      const std::string_view piece = state.file.read();
      *buffer = piece.data();
      return static_cast<la_ssize_t>(piece.size());
    } catch (...) {
      state.read_error = std::current_exception();
      archive_set_error(a, EIO, "unreadable");
      return -1;
    }
  }
  void check(la_ssize_t status) {
    if (read_error) std::rethrow_exception(read_error);
    if (status >= ARCHIVE_WARN) return;
    const char* text = archive_error_string(handle);
    const std::string entry_text = entry != nullptr ? fmt::format(" entry '{}':", printable_name(name)) : "";
    bad_input("{}:{} {}", path, entry_text, text != nullptr ? printable_name(text) : "cannot be read");
  }
  void finish_entry() {
    if (has_data) check(archive_read_data_skip(handle));
    has_data = false;
  }
  // libarchive takes a file that stops between two entries for a whole one, but tar's end is a block of zeros. It also
  // stops reading at that block, before gzip's checksum.
  void finish_archive() {
    if (archive_filter_bytes(handle, 0) < archive_read_header_position(handle) + kTarBlock) {
      bad_input("{}: truncated: no end-of-archive marker after {}", path,
                name.empty() ? "the first byte" : fmt::format("entry '{}'", printable_name(name)));
    }
    while (!file.read().empty()) continue;
  }
};

ArchiveReader::ArchiveReader(const std::string& path) : state_(std::make_unique<State>(path)) {
  State& s = *state_;
  // Not support_filter_all(): it unpacks lrzip, lzop and grzip by starting a program.
  archive_read_support_filter_bzip2(s.handle);
  archive_read_support_filter_xz(s.handle);
  archive_read_support_filter_zstd(s.handle);
  archive_read_support_format_tar(s.handle);
  const int status = archive_read_open(s.handle, &s, nullptr, State::on_read, nullptr);
  if (status < ARCHIVE_WARN && !s.read_error) {
    bad_input("{}: not a tar archive, expected .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst", path);
  }
  s.check(status);
}

ArchiveReader::~ArchiveReader() = default;
ArchiveReader::ArchiveReader(ArchiveReader&&) noexcept = default;
ArchiveReader& ArchiveReader::operator=(ArchiveReader&&) noexcept = default;

bool ArchiveReader::next() {
  State& s = *state_;
  while (true) {
    s.finish_entry();
    const int status = archive_read_next_header(s.handle, &s.entry);
    if (status == ARCHIVE_EOF) {
      s.check(ARCHIVE_OK);
      s.finish_archive();
      s.entry = nullptr;
      return false;
    }
    if (status < ARCHIVE_WARN) {
      const std::string last =
          s.name.empty() ? "at the start" : fmt::format("after entry '{}'", printable_name(s.name));
      s.entry = nullptr;
      if (s.read_error) std::rethrow_exception(s.read_error);
      const char* text = archive_error_string(s.handle);
      bad_input("{}: {} {}", s.path, text != nullptr ? printable_name(text) : "cannot be read", last);
    }
    const char* name = archive_entry_pathname(s.entry);
    if (name == nullptr) name = archive_entry_pathname_utf8(s.entry);
    if (name == nullptr)
      bad_input("{}: an entry after '{}' has a name that cannot be read", s.path, printable_name(s.name));
    s.name = without_dot_slash(name);
    s.has_data = true;
    const unsigned type = archive_entry_filetype(s.entry);
    if (type == AE_IFDIR && s.name.empty()) continue;  // "./" itself
    if (leaves_folder(s.name)) {
      bad_input("{}: entry '{}': expected a relative name without '..'", s.path, printable_name(name));
    }
    if (type == AE_IFDIR) continue;
    if (archive_entry_hardlink(s.entry) != nullptr) {
      bad_input("{}: entry '{}': is a hard link to '{}', expected plain files", s.path, printable_name(s.name),
                printable_name(archive_entry_hardlink(s.entry)));
    }
    if (type != AE_IFREG)
      bad_input("{}: entry '{}': is {}, expected plain files", s.path, printable_name(s.name), type_name(type));
    if (!s.seen.insert(s.name).second)
      bad_input("{}: entry '{}': the name is there twice", s.path, printable_name(s.name));
    return true;
  }
}

const std::string& ArchiveReader::name() const { return state_->name; }

uint64_t ArchiveReader::size() const {
  return state_->entry != nullptr ? static_cast<uint64_t>(std::max<int64_t>(0, archive_entry_size(state_->entry))) : 0;
}

std::string ArchiveReader::read() {
  State& s = *state_;
  if (!s.has_data) fail("{}: entry '{}' was read already", s.path, s.name);
  s.has_data = false;
  const uint64_t expected = size();
  std::string bytes;
  // The announced size is not believed before the bytes come: a damaged header may say anything.
  while (bytes.size() < expected) {
    const size_t have = bytes.size();
    bytes.resize(have + static_cast<size_t>(std::min<uint64_t>(expected - have, 1 << 22)));
    const la_ssize_t n = archive_read_data(s.handle, bytes.data() + have, bytes.size() - have);
    s.check(n < 0 ? n : 0);
    bytes.resize(have + static_cast<size_t>(std::max<la_ssize_t>(n, 0)));
    if (n <= 0)
      bad_input("{}: entry '{}': truncated: {} of {} bytes", s.path, printable_name(s.name), bytes.size(), expected);
  }
  return bytes;
}

const ArchiveIndex::Member* ArchiveIndex::find(const std::string& name) const {
  const auto it = by_name.find(name);
  return it == by_name.end() ? nullptr : &members[it->second];
}

const ArchiveIndex::Member& ArchiveIndex::at(const std::string& name) const {
  if (const Member* member = find(name)) return *member;
  std::vector<std::string> names;
  for (const Member& member : members) names.push_back(member.name);
  bad_input("{}: no entry '{}' among {}{}", path, name, members.size(), did_you_mean(name, names));
}

ArchiveIndex read_archive(const std::string& path, const std::function<bool(std::string_view name)>& keep,
                          uint64_t max_bytes) {
  ArchiveIndex index;
  index.path = path;
  ArchiveReader reader(path);
  while (reader.next()) {
    if (keep && !keep(reader.name())) continue;
    if (reader.size() > max_bytes - index.total_bytes) {
      bad_input("{}: entry '{}': the files to keep in memory are more than {}", path, printable_name(reader.name()),
                human_bytes(static_cast<double>(max_bytes)));
    }
    index.by_name.emplace(reader.name(), index.members.size());
    index.members.push_back({reader.name(), reader.read()});
    index.total_bytes += index.members.back().bytes.size();
  }
  return index;
}

}  // namespace gfsa
