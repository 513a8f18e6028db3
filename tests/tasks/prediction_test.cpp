#include "tasks/prediction.h"

#include <gmock/gmock.h>

#include "core/philox.h"
#include "formats/tensor_file.h"
#include "tasks/tiny_run.h"

namespace gfsa::tasks {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Tensor random_images(int64_t n) {
  const Shape shape{n, 3, 32, 32};
  RandomSequence rng(RandomKey(5, "prediction_test.images"), 0);
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  for (float& v : values) v = static_cast<float>(rng.uniform(-2, 2));
  return Tensor::from(shape, values);
}

// Bit for bit: the logits of a picture do not depend on those that come after it.
TEST(Predict, DoesNotDependOnTheNumberOfPictures) {
  TemporaryFolder folder;
  write_checkpoint(folder / "run");
  TrainedModel model({.path = folder / "run"});
  const Tensor images = random_images(70);
  const auto all = predict(image_task(model), images, {}).to_vector<float>();
  ASSERT_EQ(all.size(), 700u);
  for (const int64_t n : {1, 7, 64}) {
    const auto logits = predict(image_task(model), images.slice(0, 0, n), {}).to_vector<float>();
    EXPECT_EQ(logits, std::vector<float>(all.begin(), all.begin() + n * 10)) << n;
  }
}

TEST(Predict, WorksWithoutDataFromFileToFile) {
  TemporaryFolder folder;
  write_checkpoint(folder / "run");
  // A source that is not there: nothing may open it.
  TrainedModel model({.path = folder / "run", .overrides = {"data={source: image_folder, path: nowhere}"}});
  const Tensor images = random_images(3);
  write_tensors(Env::real(), folder / "in.safetensors",
                {{"labels", Tensor::zeros({3}, DType::i64)}, {"images", images}});
  EXPECT_EQ(predict_file(image_task(model), {folder / "in.safetensors", folder / "out.safetensors", "w"}, {}), 3);
  const auto out = read_tensors(folder / "out.safetensors");
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out.at("logits").shape(), (Shape{3, 10}));
  EXPECT_EQ(out.at("logits").to_vector<float>(), predict(image_task(model), images, {}).to_vector<float>());
}

TEST(Predict, NoPicturesGiveNoLogits) {
  TemporaryFolder folder;
  write_checkpoint(folder / "run");
  TrainedModel model({.path = folder / "run"});
  EXPECT_EQ(predict(image_task(model), Tensor::zeros({0, 3, 32, 32}, DType::f32), {}).shape(), (Shape{0, 10}));
}

TEST(Predict, RefusesOtherTensors) {
  TemporaryFolder folder;
  write_checkpoint(folder / "run");
  TrainedModel model({.path = folder / "run"});
  const auto refused = [&](const std::string& name, const Tensor& tensor) {
    write_tensors(Env::real(), folder / "in.safetensors", {{name, tensor}});
    return refusal([&] { read_images(folder / "in.safetensors", image_task(model).model_config()); });
  };
  EXPECT_THAT(refused("images", Tensor::zeros({2, 3, 32, 32}, DType::u8)),
              AllOf(HasSubstr("is U8, expected F32 [N, 3, 32, 32], already normalised"), HasSubstr("augment.mean")));
  EXPECT_THAT(refused("images", Tensor::zeros({2, 3, 32, 32}, DType::f64)), HasSubstr("is F64, expected F32"));
  EXPECT_THAT(refused("images", Tensor::zeros({2, 3, 16, 32}, DType::f32)),
              HasSubstr("has shape [2, 3, 16, 32], expected F32 [N, 3, 32, 32]"));
  EXPECT_THAT(refused("images", Tensor::zeros({3, 32, 32}, DType::f32)), HasSubstr("has shape [3, 32, 32]"));
  EXPECT_THAT(refused("pictures", Tensor::zeros({2, 3, 32, 32}, DType::f32)),
              HasSubstr("has no tensor `images`, but pictures"));
  EXPECT_THAT(refusal([&] { read_images(folder / "none.safetensors", image_task(model).model_config()); }),
              HasSubstr("none.safetensors"));
}

}  // namespace
}  // namespace gfsa::tasks
