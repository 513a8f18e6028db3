#include "base/error.h"
#include "fuzz/targets.h"
#include "train/checkpoint/manifest.h"
#include "train/checkpoint/state.h"

namespace gfsa::fuzz {

void checkpoint(std::string_view bytes) {
  if (bytes.empty()) return;
  const int kind = bytes[0] % 3;
  const std::string text(bytes.substr(1));
  if (kind == 0) {
    train::Position position;
    if (!accepts([&] { position = train::parse_state(text, "state.json"); })) return;
    if (position.step < 0 || position.epoch < 0 || position.batch < 0) finding("a negative position");
    if (!accepts([&] { train::parse_state(train::state_text(position), "state.json"); })) finding("not read again");
    return;
  }
  train::Manifest manifest;
  const std::string sealed = text + "  \"manifest\": \"" + checksum128(text) + "\"\n}\n";
  if (!accepts([&] { manifest = train::parse_manifest(kind == 1 ? text : sealed, "manifest.json"); })) return;
  if (manifest.find("model.safetensors") == nullptr) finding("a manifest without a model");
  if (!accepts([&] { train::parse_manifest(train::manifest_text(manifest), "manifest.json"); }))
    finding("not read again");
}

}  // namespace gfsa::fuzz
