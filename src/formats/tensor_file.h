// tensor_file.h -- safetensors files as Tensors.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/env.h"
#include "core/tensor.h"
#include "formats/safetensors.h"

namespace gfsa {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// Reads the tensors one after the other as they lie in the file, each into memory of its own and nothing twice, and
// gives them to `take`. F16 becomes f32; I16 and I8 become i32. `expected` (may be null): what the file must hash to;
// a tensor is given away only after its checksum fitted. Bad input names the file, and the tensor or "header".
void for_each_tensor(Env& env, const std::string& path, const FileChecksums* expected,
                     const std::function<void(const std::string& name, Tensor tensor)>& take);

// All of them, on the CPU.
std::map<std::string, Tensor> read_tensors(Env& env, const std::string& path, const FileChecksums* expected = nullptr);
std::map<std::string, Tensor> read_tensors(const std::string& path);  // with Env::real()
// Of a file that is mapped; `where` names it in errors.
Tensor to_tensor(const TensorBytes& bytes, const std::string& where);

// Written atomically; strided tensors are made contiguous first. Returns what the file is known by.
FileChecksums write_tensors(Env& env, const std::string& path, const NamedTensors& tensors,
                            const std::map<std::string, std::string>& metadata = {});

}  // namespace gfsa
