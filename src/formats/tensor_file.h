// tensor_file.h -- safetensors files as Tensors.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/env.h"
#include "core/tensor.h"
#include "formats/safetensors.h"

namespace gfsa {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// Every tensor of the file, copied to the CPU. F16 becomes f32; I16 and I8 become i32. Bad input names file and tensor.
std::map<std::string, Tensor> read_tensors(const std::string& path);
Tensor to_tensor(const TensorBytes& bytes, const std::string& where);

// Written atomically; strided tensors are made contiguous first.
void write_tensors(Env& env, const std::string& path, const NamedTensors& tensors,
                   const std::map<std::string, std::string>& metadata = {});

}  // namespace gfsa
