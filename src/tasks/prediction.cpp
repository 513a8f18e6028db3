#include "tasks/prediction.h"

#include <algorithm>

#include "autograd/autograd.h"
#include "base/error.h"
#include "base/strings.h"
#include "formats/tensor_file.h"
#include "tasks/forward_blocks.h"

namespace gfsa::tasks {

Tensor read_images(const std::string& path, const ImageModelConfig& model) {
  const auto file = SafetensorsFile::open(path);
  const std::string where = path + ": images";
  if (!file.contains("images")) {
    bad_input("{}: has no tensor `images`, but {}", path, file.names().empty() ? "none at all" : one_of(file.names()));
  }
  const TensorBytes& bytes = file.at("images");
  const std::string expected =
      fmt::format("F32 [N, {}, {}, {}]", model.channels(), model.image_size(), model.image_size());
  if (bytes.dtype == "U8") {
    bad_input("{}: is U8, expected {}, already normalised as in training: (pixel / 255 - augment.mean) / augment.std",
              where, expected);
  }
  if (bytes.dtype != "F32") bad_input("{}: is {}, expected {}", where, bytes.dtype, expected);
  const auto& s = bytes.shape;
  const std::vector<int64_t> picture{model.channels(), model.image_size(), model.image_size()};
  if (s.size() != 4 || !std::equal(picture.begin(), picture.end(), s.begin() + 1)) {
    bad_input("{}: has shape [{}], expected {}", where, fmt::join(s, ", "), expected);
  }
  return to_tensor(bytes, where);
}

Tensor predict(TrainedModel& trained, const Tensor& images) {
  const NoGrad guard;
  return forward_in_blocks(trained.model(), images, trained.classes(), trained.config().evaluation_context());
}

int64_t predict_file(TrainedModel& trained, const std::string& input, const std::string& output, Env& env) {
  const Tensor images = read_images(input, trained.task().model_config());
  const Tensor logits = predict(trained, images);
  write_tensors(env, output, {{"logits", logits}}, {{"weights", trained.weights()}});
  return images.dim(0);
}

}  // namespace gfsa::tasks
