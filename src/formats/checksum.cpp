#include "formats/checksum.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <new>

namespace gfsa {
namespace {

std::string text_of(XXH64_hash_t hash) { return fmt::format("{:016x}", hash); }
std::string text_of(XXH128_hash_t hash) { return fmt::format("{:016x}{:016x}", hash.high64, hash.low64); }

}  // namespace

// The two digests are two ways to finish one and the same state.
struct Checksum::State {
  State() : hash(XXH3_createState()) {
    if (hash == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(hash);
  }
  ~State() { XXH3_freeState(hash); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  XXH3_state_t* hash;
};

Checksum::Checksum() : state_(std::make_unique<State>()) {}
Checksum::~Checksum() = default;

void Checksum::update(const void* data, size_t bytes) {
  if (bytes > 0) XXH3_128bits_update(state_->hash, data, bytes);
}
std::string Checksum::text64() const { return text_of(XXH3_64bits_digest(state_->hash)); }
std::string Checksum::text128() const { return text_of(XXH3_128bits_digest(state_->hash)); }

std::string checksum64(std::string_view content) { return text_of(XXH3_64bits(content.data(), content.size())); }
std::string checksum128(std::string_view content) { return text_of(XXH3_128bits(content.data(), content.size())); }

}  // namespace gfsa
