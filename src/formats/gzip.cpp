#include "formats/gzip.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/error.h"

namespace gfsa {
namespace {

constexpr size_t kPieceBytes = 1 << 18;
constexpr int kGzipOnly = 16 + MAX_WBITS;  // inflateInit2: expect a gzip header, check its checksum

// A chain of gzip members, pulled piece by piece from `refill` (empty: the end).
class Inflater {
 public:
  Inflater(std::string where, std::function<std::string_view()> refill)
      : where_(std::move(where)), refill_(std::move(refill)), buffer_(kPieceBytes, '\0') {
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) fail("{}: zlib could not start", where_);
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  std::string_view read() {
    stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_out = static_cast<uInt>(buffer_.size());
    while (stream_.avail_out == buffer_.size() && !done_) {
      const bool more = have_input();
      if (between_members_) {
        if (!more || !start_member()) done_ = true;
        continue;
      }
      if (!more) bad_input("{}: truncated gzip data", where_);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        between_members_ = true;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        bad_input("{}: corrupt gzip data: {}", where_, stream_.msg != nullptr ? stream_.msg : zError(status));
      }
    }
    return {buffer_.data(), buffer_.size() - stream_.avail_out};
  }

 private:
  bool have_input() {
    if (stream_.avail_in > 0) return true;
    const std::string_view piece = refill_();
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream_.avail_in = static_cast<uInt>(piece.size());
    return !piece.empty();
  }
  // Zeros may fill up the last member (tapes do that); anything else must be another member.
  bool start_member() {
    while (first_member_ || have_input()) {
      if (first_member_ || *stream_.next_in != 0) {
        if (!first_member_ && *stream_.next_in != 0x1F) bad_input("{}: corrupt gzip data: bytes after the end", where_);
        first_member_ = between_members_ = false;
        return inflateReset2(&stream_, kGzipOnly) == Z_OK;
      }
      ++stream_.next_in, --stream_.avail_in;
    }
    return false;
  }

  std::string where_;
  std::function<std::string_view()> refill_;
  std::string buffer_;
  z_stream stream_{};
  bool first_member_ = true, between_members_ = true, done_ = false;
};

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.size() >= 2 && bytes[0] == '\x1F' && bytes[1] == '\x8B'; }

namespace {

std::function<std::string_view()> pieces_of(std::string_view& bytes) {
  return [&bytes] {
    const std::string_view piece = bytes.substr(0, 1 << 30);  // zlib counts in 32 bits
    bytes.remove_prefix(piece.size());
    return piece;
  };
}

}  // namespace

std::string gunzip_start(std::string_view bytes, const std::string& where, size_t bytes_wanted) {
  Inflater inflater(where, pieces_of(bytes));
  std::string out;
  while (out.size() < bytes_wanted) {
    const std::string_view piece = inflater.read();
    if (piece.empty()) break;
    out += piece.substr(0, bytes_wanted - out.size());
  }
  return out;
}

std::string gunzip(std::string_view bytes, const std::string& where, uint64_t max_bytes) {
  Inflater inflater(where, pieces_of(bytes));
  std::string out;
  while (true) {
    const std::string_view piece = inflater.read();
    if (piece.empty()) return out;
    if (out.size() + piece.size() > max_bytes)
      bad_input("{}: unpacks to more than the {} bytes expected", where, max_bytes);
    out += piece;
  }
}

struct GzipFileReader::State {
  std::string path;
  int fd = -1;
  std::string raw = std::string(kPieceBytes, '\0');
  bool first = true;
  std::string_view pending;  // the first piece, read to tell gzip from plain
  std::unique_ptr<Inflater> inflater;

  ~State() {
    if (fd >= 0) ::close(fd);
  }
  std::string_view read_raw() {
    if (!pending.empty()) return std::exchange(pending, std::string_view());
    while (true) {
      const ssize_t n = ::read(fd, raw.data(), raw.size());
      if (n >= 0) return {raw.data(), static_cast<size_t>(n)};
      if (errno != EINTR) bad_input("{}: read failed: {}", path, std::strerror(errno));
    }
  }
};

GzipFileReader::GzipFileReader(const std::string& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (state_->fd < 0) bad_input("{}: cannot be read: {}", path, std::strerror(errno));
  struct stat st {};
  if (::fstat(state_->fd, &st) == 0 && S_ISDIR(st.st_mode)) bad_input("{}: is a folder, expected a file", path);
}

GzipFileReader::~GzipFileReader() = default;

std::string_view GzipFileReader::read() {
  State& s = *state_;
  if (std::exchange(s.first, false)) {
    s.pending = s.read_raw();
    if (is_gzip(s.pending)) s.inflater = std::make_unique<Inflater>(s.path, [&s] { return s.read_raw(); });
  }
  return s.inflater ? s.inflater->read() : s.read_raw();
}

}  // namespace gfsa
