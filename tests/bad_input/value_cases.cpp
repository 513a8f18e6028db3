// Keys and values of the real configuration: types, ranges, names, what must hold across keys.
#include "bad_input/bad_input.h"
#include "base/error.h"
#include "core/device.h"

namespace gfsa::bad_input_test {

Cases value_cases() {
  return {
      {"a word for a number", yaml(before_base("seed: x\n")),
       "DIR/c.yaml:1:7: seed: 'x' is not a number, expected an integer >= 0"},
      {"a fraction for an integer", yaml(before_base("seed: 1.5\n")),
       "DIR/c.yaml:1:7: seed: '1.5' is not a whole number, expected an integer >= 0"},
      {"an exponent that is no integer", yaml(before_base("seed: 1e-1\n")),
       "DIR/c.yaml:1:7: seed: '1e-1' is not a whole number, expected an integer >= 0"},
      {"a number for a truth", yaml(before_base("deterministic: 1\n")),
       "DIR/c.yaml:1:16: deterministic: '1' is neither true nor false, expected true or false"},
      {"a word for a truth", yaml(before_base("deterministic: maybe\n")),
       "DIR/c.yaml:1:16: deterministic: 'maybe' is neither true nor false, expected true or false"},
      {"a quoted number", yaml(before_base("seed: '1'\n")),
       "DIR/c.yaml:1:7: seed: '1' is a text in quotes, expected an integer >= 0"},
      {"a hexadecimal number", yaml(before_base("seed: 0x10\n")),
       "DIR/c.yaml:1:7: seed: '0x10' is not a number, expected an integer >= 0"},
      {"an octal number", yaml(before_base("seed: 0o10\n")),
       "DIR/c.yaml:1:7: seed: '0o10' is not a number, expected an integer >= 0"},
      {"underscores in a number", yaml(before_base("seed: 1_000\n")),
       "DIR/c.yaml:1:7: seed: '1_000' is not a number (write it without underscores), expected an integer >= 0"},
      {"a decimal comma", yaml(base_with("optimizer", "optimizer: {lr: \"0,1\"}")),
       "DIR/c.yaml:5:17: optimizer.lr: '0,1' is a text in quotes, expected a number >= 0"},
      {"minus one", yaml(before_base("seed: -1\n")),
       "DIR/c.yaml:1:7: seed: '-1' is out of range, expected an integer >= 0"},
      {"2^63", yaml(before_base("seed: 9223372036854775808\n")),
       "DIR/c.yaml:1:7: seed: '9223372036854775808' is too large for an integer, expected an integer >= 0"},
      {"10^400", yaml(before_base("seed: 1" + std::string(400, '0') + "\n")),
       "DIR/c.yaml:1:7: seed: '100000000000000000000000000000000000000000000000000000000000...' is too large for an "
       "integer, expected an integer >= 0"},
      {"1e999", yaml(base_with("optimizer", "optimizer: {lr: 1e999}")),
       "DIR/c.yaml:5:17: optimizer.lr: '1e999' is beyond the range of a double, expected a number >= 0"},
      {"1e-999", yaml(base_with("optimizer", "optimizer: {lr: 1e-999}")),
       "DIR/c.yaml:5:17: optimizer.lr: '1e-999' is beyond the range of a double, expected a number >= 0"},
      {"not a number", yaml(base_with("optimizer", "optimizer: {lr: .nan}")),
       "DIR/c.yaml:5:17: optimizer.lr: '.nan' is not finite, expected a number >= 0"},
      {"infinity", yaml(base_with("optimizer", "optimizer: {lr: .inf}")),
       "DIR/c.yaml:5:17: optimizer.lr: '.inf' is not finite, expected a number >= 0"},
      {"null", yaml(before_base("seed: ~\n")), "DIR/c.yaml:1:7: seed: has no value, expected an integer >= 0"},
      {"nothing", yaml(before_base("seed:\n")), "DIR/c.yaml:1:1: seed: has no value, expected an integer >= 0"},
      {"a list for a number", yaml(before_base("seed: [1]\n")),
       "DIR/c.yaml:1:7: seed: is a list, expected an integer >= 0"},
      {"a map for a number", yaml(before_base("seed: {a: 1}\n")),
       "DIR/c.yaml:1:7: seed: is a map, expected an integer >= 0"},
      {"a number for a section", yaml(base_with("train", "train: 5")),
       "DIR/c.yaml:7:8: train: '5' stands where a map of keys is expected: epochs, steps, batch_size, accumulate, "
       "log_every, on_non_finite, non_finite_limit, clip_norm, clip_value or ema"},
      {"a list for a section", yaml(base_with("train", "train: [steps]")),
       "DIR/c.yaml:7:8: train: a list stands where a map of keys is expected: epochs, steps, batch_size, accumulate, "
       "log_every, on_non_finite, non_finite_limit, clip_norm, clip_value or ema"},
      {"a number for a variant", yaml(base_with("optimizer", "optimizer: 3")),
       "DIR/c.yaml:5:12: optimizer.name: '3' is unknown, expected sgd, adam, adamw, lamb, lion or adafactor"},
      {"a map for a variant", yaml(base_with("optimizer", "optimizer: {name: {adamw: 1}}")),
       "DIR/c.yaml:5:19: optimizer.name: a map is no optimizer, expected sgd, adam, adamw, lamb, lion or adafactor"},
      {"a slip in a key", yaml(before_base("sede: 1\n")), "DIR/c.yaml:1:1: sede: unknown key; did you mean 'seed'?"},
      {"a key in the wrong section", yaml(before_base("lr: 1\n")),
       "DIR/c.yaml:1:1: lr: unknown key; did you mean 'optimizer.lr'?"},
      {"a slip in a section", yaml(base_with("train", "trian: {steps: 1}")),
       "DIR/c.yaml:1:1: train.epochs: exactly one of train.epochs and train.steps must be given, neither "
       "is\nDIR/c.yaml:7:1: trian: unknown key; did you mean 'train'?"},
      {"a key with a dot", yaml(before_base("train.epochs: 1\n")),
       "DIR/c.yaml:1:1: train.epochs: unknown key with a dot; in a file keys nest, one line each"},
      {"a key of another optimizer", yaml(base_with("optimizer", "optimizer: {name: adamw, nesterov: true}")),
       "DIR/c.yaml:5:26: optimizer.nesterov: unknown key here, it belongs to name: 'sgd'"},
      {"a key of another filter", yaml(base_with("attention", "attention: {variant: softmax, K: 3}")),
       "DIR/c.yaml:2:31: attention.K: unknown key here, it belongs to variant: 'gfsa'"},
      {"a key like nothing", yaml(before_base("xyzzyplugh: 1\n")),
       "DIR/c.yaml:1:1: xyzzyplugh: unknown key, expected task, model, attention, data, augment, "
       "resize_position_embedding, optimizer, schedule, train, eval, checkpoint, init_from, init_optional, seed, "
       "precision, tf32, device, graph, threads, deterministic or run_dir"},
      {"an empty key", yaml(before_base("'': 1\n")),
       "DIR/c.yaml:1:1: unknown key, expected task, model, attention, data, augment, resize_position_embedding, "
       "optimizer, schedule, train, eval, checkpoint, init_from, init_optional, seed, precision, tf32, device, "
       "graph, threads, "
       "deterministic or run_dir"},
      {"a key in capitals", yaml(before_base("SEED: 1\n")), "DIR/c.yaml:1:1: SEED: unknown key; did you mean 'seed'?"},
      {"a long key", yaml(before_base(std::string(1000, 'k') + ": 1\n")),
       "DIR/c.yaml:1:1: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...: unknown key, expected task, "
       "model, attention, data, augment, resize_position_embedding, optimizer, schedule, train, eval, checkpoint, "
       "init_from, init_optional, seed, precision, tf32, device, graph, threads, deterministic or run_dir"},
      {"an unknown task", yaml(before_base("task: image_clasification\n")),
       "DIR/c.yaml:1:7: task: 'image_clasification' is unknown, expected image_classification, text_classification, "
       "language_modelling or masked_language_modelling; did you mean 'image_classification'?"},
      {"an unknown optimizer", yaml(base_with("optimizer", "optimizer: adamv")),
       "DIR/c.yaml:5:12: optimizer.name: 'adamv' is unknown, expected sgd, adam, adamw, lamb, lion or adafactor; did "
       "you mean 'adam'?"},
      {"an unknown schedule", yaml(base_with("schedule", "schedule: cosin")),
       "DIR/c.yaml:6:11: schedule.name: 'cosin' is unknown, expected constant, linear, cosine, polynomial, noam or "
       "inverse_sqrt; did you mean 'cosine'?"},
      {"an unknown source", yaml(base_with("data", "data: {source: cifar}")),
       "DIR/c.yaml:3:16: data.source: 'cifar' is unknown, expected procedural, image_folder, image_archive, cifar10, "
       "cifar100, mnist, fashion_mnist or safetensors; did you mean 'cifar10'?"},
      {"no source", yaml(base_with("data", "data: {workers: 0}")),
       "DIR/c.yaml:3:1: data.source: is missing, expected procedural, image_folder, image_archive, cifar10, cifar100, "
       "mnist, fashion_mnist or safetensors"},
      {"no path", yaml(base_with("data", "data: {source: cifar10}")),
       "DIR/c.yaml:3:1: data.path: is missing, expected a path"},
      {"an empty path", yaml(base_with("data", "data: {source: cifar10, path: ''}")),
       "DIR/c.yaml:3:31: data.path: is empty, expected a path"},
      {"an unknown precision", yaml(before_base("precision: fp16\n")),
       "DIR/c.yaml:1:12: precision: 'fp16' is unknown, expected f32 or bf16"},
      {"an unknown device", yaml(before_base("device: gpu\n")),
       "DIR/c.yaml:1:9: device: 'gpu' is not a device, expected cpu, cuda, cuda:N or emulated; did you mean 'cpu'?"},
      {"a device that is not there", yaml(before_base("device: cuda:99\n")),
       "DIR/c.yaml:1: device: 'cuda:99' cannot be used: " + why_not({DeviceType::cuda, 99}) + "; use device: cpu"},
      {"too many threads", yaml(base_with("threads", "threads: 2000")),
       "DIR/c.yaml:8:10: threads: '2000' is out of range, expected an integer in [0, 1024]"},
      {"neither epochs nor steps", yaml(base_with("train", "train: {batch_size: 4}")),
       "DIR/c.yaml:7:1: train.epochs: exactly one of train.epochs and train.steps must be given, neither is"},
      {"epochs and steps", yaml(base_with("train", "train: {epochs: 1, steps: 1}")),
       "DIR/c.yaml:7:17: train.epochs: exactly one of train.epochs and train.steps must be given, both are"},
      {"no steps", yaml(base_with("train", "train: {steps: 0}")),
       "DIR/c.yaml:7:16: train.steps: '0' is out of range, expected an integer > 0 or null"},
      {"no samples in a batch", yaml(base_with("train", "train: {steps: 1, batch_size: 0}")),
       "DIR/c.yaml:7:31: train.batch_size: '0' is out of range, expected an integer > 0"},
      {"averages without decay", yaml(before_base("eval: {ema: true}\n")),
       "DIR/c.yaml:1:13: eval.ema: needs train.ema.decay"},
      {"decay of one", yaml(base_with("train", "train: {steps: 1, ema: {decay: 1}}")),
       "DIR/c.yaml:7:32: train.ema.decay: '1' is out of range, expected a number in [0, 1) or null"},
      {"two warm-ups", yaml(base_with("schedule", "schedule: {name: cosine, warmup_epochs: 1, warmup_steps: 5}")),
       "DIR/c.yaml:6:58: schedule.warmup_steps: only one of warmup_epochs and warmup_steps"},
      {"betas of three", yaml(base_with("optimizer", "optimizer: {betas: [0.9, 0.99, 0.999]}")),
       "DIR/c.yaml:5:20: optimizer.betas: has length 3, expected a list of 2 numbers in [0, 1)"},
      {"a beta of one", yaml(base_with("optimizer", "optimizer: {betas: [0.9, 1]}")),
       "DIR/c.yaml:5:26: optimizer.betas[1]: '1' is out of range, expected a list of 2 numbers in [0, 1)"},
      {"nesterov without momentum", yaml(base_with("optimizer", "optimizer: {name: sgd, nesterov: true}")),
       "DIR/c.yaml:5:34: optimizer.nesterov: needs momentum above 0 and dampening 0"},
      {"a factor without a number", yaml(base_with("optimizer", "optimizer: {lr_factors: ['head.*']}")),
       "optimizer.lr_factors: 'head.*' is not 'pattern=factor', expected for example '*.wK=10'"},
      {"a workers' number", yaml(base_with("data", "data: {source: procedural, workers: 257}")),
       "DIR/c.yaml:3:37: data.workers: '257' is out of range, expected an integer in [0, 256]"},
      {"radii in the wrong order", yaml(base_with("data", "data: {source: procedural, radius: [9, 5]}")),
       "DIR/c.yaml:3:36: data.radius: the first must not be larger than the second"},
      {"an archive without memory", yaml(base_with("data", "data: {source: image_archive, path: a, archive_mb: 0}")),
       "DIR/c.yaml:3:52: data.archive_mb: '0' is out of range, expected an integer in [1, 1073741824]"},
      {"an archive of 2^62 MiB",
       yaml(base_with("data", "data: {source: image_archive, path: a, archive_mb: 4611686018427387904}")),
       "DIR/c.yaml:3:52: data.archive_mb: '4611686018427387904' is out of range, expected an integer in [1, "
       "1073741824]"},
      {"a cache of 2^62 MiB", yaml(base_with("data", "data: {source: procedural, cache_mb: 4611686018427387904}")),
       "DIR/c.yaml:3:38: data.cache_mb: '4611686018427387904' is out of range, expected an integer in [0, 1073741824]"},
      {"an unknown policy", yaml(base_with("augment", "augment: {policy: rnad-m9}")),
       "DIR/c.yaml:4:19: augment.policy: unknown augmentation policy 'rnad-m9', expected none, rand-m9-mstd0.5-inc1, "
       "original, originalr, v0, v0r or 3a"},
      {"a policy without sense", yaml(base_with("augment", "augment: {policy: rand-m99999999999}")),
       "DIR/c.yaml:4:19: augment.policy: policy 'rand-m99999999999': cannot read 'm99999999999', expected m, n, p, "
       "mstd, mmax or inc with a number, or t with a list (3a, 3aw, weights)"},
      {"two jitters", yaml(base_with("augment", "augment: {color_jitter: [0.1, 0.2]}")),
       "DIR/c.yaml:4:25: augment.color_jitter: it takes 1, 3 or 4 numbers"},
      {"a crop in the wrong order", yaml(base_with("augment", "augment: {random_resized_crop: {scale: [1, 0.5]}}")),
       "DIR/c.yaml:4:40: augment.random_resized_crop.scale: the first must not be larger than the second"},
      {"an erased area in the wrong order",
       yaml(base_with("augment", "augment: {erasing: {min_area: 0.5, max_area: 0.2}}")),
       "DIR/c.yaml:4:31: augment.erasing.min_area: it must not be larger than max_area"},
      {"a standard deviation of nothing", yaml(base_with("augment", "augment: {std: [0, 1, 1]}")),
       "DIR/c.yaml:4:17: augment.std[0]: '0' is out of range, expected a list of 3 numbers > 0"},
      {"a reflection that is too wide",
       yaml(base_with("augment", "augment: {flip: 0, pad_crop: {padding: 40, mode: reflect}}")),
       "augment.pad_crop: reflection by 40 pixels needs images larger than 32"},
      {"a padding of 2^31 - 1", yaml(base_with("augment", "augment: {flip: 0, pad_crop: 2147483647}")),
       "DIR/c.yaml:4:30: augment.pad_crop.padding: '2147483647' is out of range, expected an integer in [0, 4096]"},
      {"a crop of 1e-9", yaml(base_with("augment", "augment: {flip: 0, eval: 1e-9}")),
       "DIR/c.yaml:4:26: augment.eval.crop_pct: '1e-9' is out of range, expected a number in [0.01, 1]"},
      {"resized to 2^31 - 1 pixels", yaml(base_with("augment", "augment: {flip: 0, eval: {resize: 2147483647}}")),
       "DIR/c.yaml:4:35: augment.eval.resize: '2147483647' is out of range, expected an integer in [1, 65535] or null"},
      {"eight mistakes at once",
       yaml("seed: x\nprecision: f61\ndata: {source: procedural, noise: -1}\nmodel: {width: 8, heads: 3, dept: 1}\n"
            "optimizer: {lr: -1}\ntrain: {epochs: 0, batch: 3}\n",
            {"threads=-1"}),
       "DIR/c.yaml:1:7: seed: 'x' is not a number, expected an integer >= 0\nDIR/c.yaml:2:12: precision: 'f61' is "
       "unknown, expected f32 or bf16\nDIR/c.yaml:3:35: data.noise: '-1' is out of range, expected an integer in [0, "
       "255]\nDIR/c.yaml:4:26: model.heads: must divide width (heads is 3, width 8)\nDIR/c.yaml:4:29: model.dept: "
       "unknown key; did you mean 'model.depth'?\nDIR/c.yaml:5:17: optimizer.lr: '-1' is out of range, expected a "
       "number >= 0\nDIR/c.yaml:6:17: train.epochs: '0' is out of range, expected an integer > 0 or "
       "null\nDIR/c.yaml:6:20: train.batch: unknown key; did you mean 'model.patch'?\ncommand line: threads: '-1' is "
       "out of range, expected an integer in [0, 1024]"},
      {"an override without a value", yaml(kBase, {"seed"}),
       "command line: 'seed' is not understood, expected key.path=value"},
      {"an override without a key", yaml(kBase, {"=1"}),
       "command line: '=1' is not understood, expected key.path=value"},
      {"an override with two dots", yaml(kBase, {"train..steps=1"}),
       "command line: 'train..steps' is no key, expected names with single dots between"},
      {"an override of nothing", yaml(kBase, {"seed="}), "command line: seed: has no value, expected an integer >= 0"},
      {"an override with a slip", yaml(kBase, {"train.stpes=1"}),
       "command line: train.stpes: unknown key; did you mean 'train.steps'?"},
      {"an override out of range", yaml(kBase, {"train.steps=-1"}),
       "command line: train.steps: '-1' is out of range, expected an integer > 0 or null"},
      {"an override with bad syntax", yaml(kBase, {"seed=[1"}),
       "command line: seed: YAML syntax: end of sequence flow not found"},
      {"an override that includes", yaml(kBase, {"defaults=a.yaml"}),
       "command line: defaults: files are included from a file only"},
      {"an override that is not UTF-8", yaml(kBase, {"run_dir=\xFF"}),
       "command line: run_dir: the byte 0xff is not UTF-8, expected YAML text"},
      {"an override below a value", yaml(kBase, {"seed.a=1"}),
       "command line: seed: is a map, expected an integer >= 0"},
      {"an override nested deeply",
       yaml(kBase, {std::string("a") +
                    [] {
                      std::string dots;
                      for (int i = 0; i < 40; ++i) dots += ".a";
                      return dots;
                    }() +
                    "=1"}),
       "command line: 'a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a....' is no key, expected names with "
       "single dots between"},
  };
}

Cases model_cases() {
  return {
      {"an unknown model", yaml(base_with("model", "model: vti")),
       "DIR/c.yaml:1:8: model.name: 'vti' is unknown, expected vit; did you mean 'vit'?"},
      {"no width", yaml(base_with("model", "model: {heads: 2, patch: 16, image_size: 32}")),
       "DIR/c.yaml:1:1: model.preset: without a preset, width and heads must be given"},
      {"heads that do not divide", yaml(base_with("model", "model: {width: 8, heads: 3, patch: 16, image_size: 32}")),
       "DIR/c.yaml:1:26: model.heads: must divide width (heads is 3, width 8)"},
      {"a patch that does not divide",
       yaml(base_with("model", "model: {width: 8, heads: 2, patch: 15, image_size: 32}")),
       "DIR/c.yaml:1:36: model.patch: must divide image_size (patch is 15, image_size 32)"},
      {"an unknown preset", yaml(base_with("model", "model: {preset: deit_tiy}")),
       "DIR/c.yaml:1:17: model.preset: 'deit_tiy' is unknown, expected none, deit_tiny, deit_small or deit_base; did "
       "you mean 'deit_tiny'?"},
      {"no blocks", yaml(base_with("model", "model: {preset: deit_tiny, depth: 0}")),
       "DIR/c.yaml:1:35: model.depth: '0' is out of range, expected an integer in [1, 10000]"},
      {"10^18 blocks", yaml(base_with("model", "model: {preset: deit_tiny, depth: 1000000000000000000}")),
       "DIR/c.yaml:1:35: model.depth: '1000000000000000000' is out of range, expected an integer in [1, 10000]"},
      {"10^12 channels",
       yaml(base_with("model", "model: {width: 1000000000000, heads: 1, depth: 1, patch: 16, image_size: 32}")),
       "DIR/c.yaml:1:16: model.width: '1000000000000' is out of range, expected an integer in [1, 1048576] or null"},
      {"an image of 2^62 pixels",
       yaml(base_with("model", "model: {preset: deit_tiny, patch: 16, image_size: 4611686018427387904}")),
       "DIR/c.yaml:1:51: model.image_size: '4611686018427387904' is out of range, expected an integer in [1, 16384]"},
      {"10^18 classes", yaml(base_with("model", "model: {preset: deit_tiny, classes: 1000000000000000000}")),
       "DIR/c.yaml:1:37: model.classes: '1000000000000000000' is out of range, expected an integer in [0, 1000000]"},
      {"fewer classes than the data",
       yaml(base_with("model", "model: {width: 8, heads: 2, depth: 1, patch: 16, image_size: 32, classes: 3}")),
       "model.classes: is 3, expected at least 10, the number of classes in the data (or leave it out)"},
      {"channels that pictures lack",
       yaml(base_with("model", "model: {width: 8, heads: 2, depth: 1, patch: 16, image_size: 32, channels: 4}")),
       "model.channels: is 4, expected 1 or 3, the channels of pictures"},
      {"a dropout of one", yaml(base_with("model", "model: {preset: deit_tiny, dropout: 1}")),
       "DIR/c.yaml:1:37: model.dropout: '1' is out of range, expected a number in [0, 1)"},
      {"an unknown filter", yaml(base_with("attention", "attention: gsfa")),
       "DIR/c.yaml:2:12: attention.variant: 'gsfa' is unknown, expected softmax, gfsa, attn_scale or polynomial; did "
       "you mean 'gfsa'?"},
      {"K of nothing", yaml(base_with("attention", "attention: {variant: gfsa, K: 0}")),
       "DIR/c.yaml:2:31: attention.K: '0' is out of range, expected an integer >= 1"},
      {"an unknown coefficient", yaml(base_with("attention", "attention: {variant: gfsa, learn: w2}")),
       "DIR/c.yaml:2:35: attention.learn: 'w2' is unknown, expected w0, w1 or wK or a list of them; did you mean "
       "'w0'?"},
      {"a layer that is not there", yaml(base_with("attention", "attention: {variant: gfsa, layers: [7]}")),
       "attention.layers: there is no layer 7; the model has layers 0 to 0"},
      {"layers by no name", yaml(base_with("attention", "attention: {variant: gfsa, layers: evn}")),
       "DIR/c.yaml:2:36: attention.layers: expected all, even, odd or a list of indices from 0"},
      {"an unknown form", yaml(base_with("attention", "attention: {variant: gfsa, form: two-pass}")),
       "DIR/c.yaml:2:34: attention.form: 'two-pass' is unknown, expected auto, explicit, two_pass or one_sweep; did "
       "you mean "
       "'two_pass'?"},
      {"a polynomial of degree 17", yaml(base_with("attention", "attention: {variant: polynomial, degree: 17}")),
       "DIR/c.yaml:2:42: attention.degree: '17' is out of range, expected an integer in [1, 16]"},
  };
}

}  // namespace gfsa::bad_input_test
