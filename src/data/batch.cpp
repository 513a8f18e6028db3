#include "data/batch.h"

#include "base/error.h"
#include "base/strings.h"

namespace gfsa::data {

const Tensor* Batch::find(const std::string& name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return &tensor;
  }
  return nullptr;
}

const Tensor& Batch::at(const std::string& name) const {
  const Tensor* tensor = find(name);
  if (tensor == nullptr) {
    fail("the batch has no tensor '{}', it has: {}{}", name, fmt::join(names(), ", "), did_you_mean(name, names()));
  }
  return *tensor;
}

void Batch::set(const std::string& name, Tensor tensor) {
  for (auto& [key, value] : tensors) {
    if (key == name) {
      value = std::move(tensor);
      return;
    }
  }
  tensors.emplace_back(name, std::move(tensor));
}

Batch Batch::to(Device device) const {
  Batch out = *this;
  for (auto& [name, tensor] : out.tensors) tensor = tensor.to(device);
  return out;
}

std::vector<std::string> Batch::names() const {
  std::vector<std::string> out;
  for (const auto& entry : tensors) out.push_back(entry.first);
  return out;
}

}  // namespace gfsa::data
