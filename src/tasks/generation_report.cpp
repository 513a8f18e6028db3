#include "tasks/generation_report.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace gfsa::tasks {
namespace {

using nlohmann::ordered_json;

ordered_json to_json(const train::Generated::Part& part) {
  return {{"tokens", part.tokens}, {"seconds", part.seconds}, {"tokens_per_second", part.per_second()}};
}

}  // namespace

std::string to_text(const train::GenerateRequest& request, const train::Generated& made) {
  std::string out;
  for (size_t i = 0; i < made.texts.size(); ++i)
    out += fmt::format("{}{}{}\n", i > 0 ? "\n" : "", request.prompts[i], made.texts[i]);
  return out;
}

std::string speed_text(const train::Generated& made) {
  const auto text = [](const train::Generated::Part& part) {
    return fmt::format("{} tokens in {} ({:.1f} a second)", part.tokens, human_seconds(part.seconds),
                       part.per_second());
  };
  return fmt::format("prompts: {}; written: {}", text(made.prompts), text(made.steps));
}

std::string to_json(const train::GenerateRequest& request, const train::Generated& made) {
  ordered_json j;
  j["texts"] = ordered_json::array();
  for (size_t i = 0; i < made.texts.size(); ++i)
    j["texts"].push_back({{"prompt", request.prompts[i]}, {"continuation", made.texts[i]}});
  j["prompts"] = to_json(made.prompts);
  j["steps"] = to_json(made.steps);
  return j.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace gfsa::tasks
