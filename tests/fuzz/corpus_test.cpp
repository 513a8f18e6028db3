// The fuzz targets over their corpora, and over each file cut and damaged a little: what fuzzing once found stays
// mended, and the corpora stay what the targets read.
#include <gtest/gtest.h>

#include "base/env.h"
#include "core/philox.h"
#include "fuzz/targets.h"

namespace gfsa::fuzz {
namespace {

std::vector<std::string> corpus(const char* target) {
  const std::string folder = std::string(GFSA_SOURCE_DIR "/tests/fuzz/corpus/") + target;
  std::vector<std::string> contents;
  for (const auto& name : Env::real().list(folder)) contents.push_back(Env::real().read(folder + "/" + name));
  return contents;
}

TEST(FuzzCorpus, EveryTargetReadsItsCorpus) {
  for (const Named& target : kTargets) {
    const auto contents = corpus(target.name);
    EXPECT_GE(contents.size(), 3u) << target.name;
    for (const auto& bytes : contents) target.run(bytes);
  }
}

TEST(FuzzCorpus, EveryTargetReadsDamage) {
  for (const Named& target : kTargets) {
    uint32_t which = 0;
    for (const auto& bytes : corpus(target.name)) {
      RandomSequence random(RandomKey(23, target.name), which++);
      for (int i = 0; i < 60 && !bytes.empty(); ++i) {
        std::string damaged = bytes;
        for (uint64_t n = 1 + random.below(4); n > 0; --n) {
          damaged[random.below(damaged.size())] ^= static_cast<char>(1 + random.below(255));
        }
        if (i % 3 == 0) damaged.resize(random.below(damaged.size()));
        target.run(damaged);
      }
    }
  }
}

TEST(FuzzCorpus, IsSmall) {
  size_t bytes = 0;
  for (const Named& target : kTargets) {
    for (const auto& content : corpus(target.name)) bytes += content.size();
  }
  EXPECT_LT(bytes, 300'000u);
}

}  // namespace
}  // namespace gfsa::fuzz
