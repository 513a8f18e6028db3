#include "data/source.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/error.h"

namespace gfsa::data {

std::vector<std::string> split_candidates(const std::string& split) {
  if (split == "val") return {"val", "validation", "test"};
  return {split};
}

Fingerprint::Fingerprint() : state_(XXH3_createState()) {
  if (state_ == nullptr) fail("no memory for a hash");
  XXH3_64bits_reset(static_cast<XXH3_state_t*>(state_));
}
Fingerprint::~Fingerprint() { XXH3_freeState(static_cast<XXH3_state_t*>(state_)); }

void Fingerprint::add(const void* data, size_t bytes) {
  XXH3_64bits_update(static_cast<XXH3_state_t*>(state_), data, bytes);
}
void Fingerprint::add(const std::string& text) {
  add(static_cast<int64_t>(text.size()));
  add(text.data(), text.size());
}
std::string Fingerprint::hex() const {
  return fmt::format("{:016x}", XXH3_64bits_digest(static_cast<XXH3_state_t*>(state_)));
}

}  // namespace gfsa::data
