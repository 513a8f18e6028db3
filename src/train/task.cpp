#include "train/task.h"

#include "base/error.h"

namespace gfsa::train {

std::string Task::predict(const PredictRequest&, const ForwardContext&, Env&) {
  bad_input("--predict: this run's task predicts nothing from files");
}

std::vector<std::string> Task::diagnose(const std::string&, int64_t, const std::string&, const ForwardContext&, Env&) {
  bad_input("--diagnose: this run's task has no diagnosis");
}

Generated Task::generate(const GenerateRequest&, const ForwardContext&) {
  bad_input("--generate: this run's task generates no text; a model of task language_modelling does");
}

}  // namespace gfsa::train
