#include "formats/tensorboard.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include "base/error.h"

namespace gfsa {
namespace {

static_assert(std::endian::native == std::endian::little, "protocol buffers and TFRecord are little endian");

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? c >> 1 ^ 0x82F63B78u : c >> 1;
    table[i] = c;
  }
  return table;
}
constexpr auto kCrcTable = crc_table();

// TFRecord's masking: a checksum of data that holds checksums would be weak.
uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return std::rotr(crc, 15) + 0xA282EAD8u;
}

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

// Protocol buffers' wire types.
enum Wire : int { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_key(std::string& out, int field, Wire wire) { put_varint(out, static_cast<uint64_t>(field << 3 | wire)); }

void put_bytes(std::string& out, int field, std::string_view bytes) {
  put_key(out, field, kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string event_at_now() {
  std::string event;
  put_key(event, 1, kFixed64);
  put(event, unix_time());
  return event;
}

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  for (char& c : name) {
    if (c == '/') c = '_';
  }
  return name;
}

// Two writers may start within one second.
std::string new_path(Env& env, const std::string& directory) {
  const std::string base =
      fmt::format("{}/events.out.tfevents.{}.{}", directory, static_cast<int64_t>(unix_time()), host_name());
  std::string path = base;
  for (int n = 1; env.exists(path); ++n) path = fmt::format("{}.{}", base, n);
  return path;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) crc = crc >> 8 ^ kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 0xFF];
  return ~crc;
}

TensorBoardWriter::TensorBoardWriter(Env& env, const std::string& directory) : log_(env, new_path(env, directory)) {
  std::string event = event_at_now();
  put_bytes(event, 3, "brain.Event:2");
  add_event(event);
  log_.flush();
}

void TensorBoardWriter::scalar(std::string_view tag, int64_t step, double value) {
  scalars(step, {{std::string(tag), value}});
}

void TensorBoardWriter::scalars(int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  add(step, values);
  log_.flush();
}

void TensorBoardWriter::add(int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  std::string summary;
  for (const auto& [tag, number] : values) {
    std::string value;
    put_bytes(value, 1, tag);
    put_key(value, 2, kFixed32);
    put(value, static_cast<float>(number));
    put_bytes(summary, 1, value);
  }
  std::string event = event_at_now();
  put_key(event, 2, kVarint);
  put_varint(event, static_cast<uint64_t>(step));
  put_bytes(event, 5, summary);
  add_event(event);
}

void TensorBoardWriter::add_event(const std::string& event) {
  std::string record;
  put(record, uint64_t{event.size()});
  put(record, masked_crc(record));
  record += event;
  put(record, masked_crc(event));
  log_.add(record);
}

}  // namespace gfsa
