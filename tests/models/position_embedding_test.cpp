#include "models/position_embedding.h"

#include <gtest/gtest.h>

#include "formats/tensor_file.h"
#include "support/op_case.h"

namespace gfsa {
namespace {

TEST(PositionEmbedding, EqualsTimm) {
  const auto golden = read_tensors(std::string(GFSA_SOURCE_DIR) + "/tests/golden/position_embedding.safetensors");
  int cases = 0;
  for (const auto& [name, stored] : golden) {
    if (!name.ends_with("/stored")) continue;
    const std::string id = name.substr(0, name.find('/'));
    const Tensor& expected = golden.at(id + "/resized");
    const int64_t prefix = id[0] - '0', grid = std::stoll(id.substr(id.rfind('_') + 1));
    const Tensor resized = resize_position_embedding(stored, grid, prefix);
    ASSERT_TRUE(resized.shape() == expected.shape()) << id;
    test::expect_close(resized, expected.to_vector<double>(), 2e-6, id);
    ++cases;
  }
  EXPECT_EQ(cases, 5);
}

TEST(PositionEmbedding, RefusesWhatIsNoSquareGrid) {
  test::expect_error(
      [] {
        resize_position_embedding(Tensor::zeros({1, 13, 4}, DType::f32), 4, 0);
      },
      {"[1, 13, 4]", "no square grid"});
}

}  // namespace
}  // namespace gfsa
