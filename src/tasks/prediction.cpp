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

Tensor predict(const ImageClassification& task, const Tensor& images, const ForwardContext& c) {
  const NoGrad guard;
  return forward_in_blocks(task.model(), images, task.model_config().classes(), c);
}

int64_t predict_file(const ImageClassification& task, const train::PredictRequest& request, const ForwardContext& c,
                     Env& env) {
  const Tensor images = read_images(request.input, task.model_config());
  write_tensors(env, request.output, {{"logits", predict(task, images, c)}}, {{"weights", request.weights}});
  return images.dim(0);
}

}  // namespace gfsa::tasks
