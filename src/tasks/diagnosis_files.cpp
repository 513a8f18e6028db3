// diagnosis_files.cpp -- a diagnosis as tables and charts.
#include <algorithm>
#include <cctype>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/strings.h"
#include "formats/plot.h"
#include "tasks/diagnosis.h"

namespace gfsa::tasks {
namespace {

// The layer in a parameter's name: its first part that is a number ("blocks.3.attn.gfsa.wK"); -1 if there is none.
int64_t layer_in(const std::string& name) {
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    if (!part.empty() && part.size() < 10 &&
        std::all_of(part.begin(), part.end(), [](unsigned char c) { return std::isdigit(c); })) {
      return std::stoll(part);
    }
    begin = end + 1;
  }
  return -1;
}

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

// What coefficient i of a table row (cu, c0, c1, ...) is called.
std::string coefficient_name(size_t i) { return i == 0 ? "cu" : fmt::format("c{}", i - 1); }

// Mode k as a share of the highest frequency there is, which changes sign from token to token.
double frequency(size_t k, int64_t tokens) { return 2 * static_cast<double>(k) / static_cast<double>(tokens); }

std::string response_csv(const Diagnosis& d) {
  std::string out = "layer,head,k,frequency,attention,filtered\n";
  for (size_t l = 0; l < d.layers.size(); ++l) {
    for (size_t h = 0; h < d.layers[l].heads.size(); ++h) {
      const auto& r = d.layers[l].heads[h];
      for (size_t k = 0; k < r.attention.size(); ++k) {
        out += fmt::format("{},{},{},{},{},{}\n", l, h, k, frequency(k, d.layers[l].tokens), r.attention[k],
                           r.filtered[k]);
      }
    }
  }
  return out;
}

std::vector<Chart> response_charts(const Diagnosis& d) {
  std::vector<Chart> charts;
  for (size_t l = 0; l < d.layers.size(); ++l) {
    const auto& layer = d.layers[l];
    LineChart chart;
    chart.title = fmt::format("layer {}: {}", l, layer.filtered ? "filtered (solid), A (dashed)" : "A (no filter)");
    chart.x_label = "frequency (share of the highest)";
    chart.y_label = "gain";
    chart.log_y = true;
    for (size_t h = 0; h < layer.heads.size(); ++h) {
      Series solid;
      solid.name = fmt::format("head {}", h);
      solid.color = static_cast<int>(h);
      for (size_t k = 0; k < layer.heads[h].filtered.size(); ++k) solid.x.push_back(frequency(k, layer.tokens));
      Series dashed = solid;
      solid.y = layer.heads[h].filtered;
      dashed.name = "";
      dashed.y = layer.heads[h].attention;
      dashed.dashed = true;
      chart.series.push_back(std::move(solid));
      if (layer.filtered) chart.series.push_back(std::move(dashed));
    }
    charts.emplace_back(std::move(chart));
  }
  return charts;
}

std::string similarity_csv(const Diagnosis& d) {
  std::string out = "layer,cosine_similarity\n";
  for (size_t l = 0; l < d.layers.size(); ++l) out += fmt::format("{},{}\n", l, d.layers[l].token_similarity);
  return out;
}

LineChart similarity_chart(const Diagnosis& d) {
  LineChart chart;
  chart.title = fmt::format("similarity of tokens ({} pictures)", d.samples);
  chart.x_label = "layer";
  chart.y_label = "mean cosine of two tokens";
  Series s;
  s.markers = true;
  for (size_t l = 0; l < d.layers.size(); ++l) {
    s.x.push_back(static_cast<double>(l));
    s.y.push_back(d.layers[l].token_similarity);
  }
  chart.y_max = 1;
  chart.y_min = std::min(0.0, *std::min_element(s.y.begin(), s.y.end()));
  chart.series.push_back(std::move(s));
  return chart;
}

std::string singular_csv(const Diagnosis& d) {
  std::string out = "index,singular_value\n";
  for (size_t i = 0; i < d.singular_values.size(); ++i) out += fmt::format("{},{}\n", i, d.singular_values[i]);
  return out;
}

LineChart singular_chart(const Diagnosis& d) {
  LineChart chart;
  chart.title = fmt::format("singular values of the last hidden state ({} pictures)", d.samples);
  chart.x_label = "index";
  chart.y_label = "share of the largest";
  chart.log_y = true;
  Series s;
  for (size_t i = 0; i < d.singular_values.size(); ++i) s.x.push_back(static_cast<double>(i));
  s.y = d.singular_values;
  chart.series.push_back(std::move(s));
  return chart;
}

std::string coefficient_csv(const Diagnosis& d, const std::vector<std::pair<std::string, Tensor>>& learned) {
  std::string out = "layer,head,name,learned,value\n";
  for (const auto& [name, tensor] : learned) {
    const auto values = tensor.to_vector<double>();
    for (size_t h = 0; h < values.size(); ++h) {
      out += fmt::format("{},{},{},true,{}\n", layer_in(name), h, last_part(name), values[h]);
    }
  }
  for (size_t l = 0; l < d.layers.size(); ++l) {
    for (size_t h = 0; h < d.layers[l].coefficients.size(); ++h) {
      const auto& row = d.layers[l].coefficients[h];
      for (size_t i = 0; i < row.size(); ++i) {
        out += fmt::format("{},{},{} of the filter,false,{}\n", l, h, coefficient_name(i), row[i]);
      }
    }
  }
  return out;
}

// One map a name: rows are layers, columns heads.
std::vector<Chart> coefficient_charts(const Diagnosis& d, const std::vector<std::pair<std::string, Tensor>>& learned) {
  std::vector<std::string> names;
  std::map<std::string, HeatMap> maps;
  int64_t heads = 0;
  for (const auto& [name, tensor] : learned) heads = std::max(heads, tensor.numel());
  for (const auto& [name, tensor] : learned) {
    const int64_t layer = layer_in(name);
    if (layer < 0 || layer >= static_cast<int64_t>(d.layers.size())) continue;
    const std::string what = last_part(name);
    if (!maps.contains(what)) {
      names.push_back(what);
      HeatMap& map = maps[what];
      map.title = "learned " + what;
      map.x_label = "head";
      map.y_label = "layer";
      map.rows = static_cast<int64_t>(d.layers.size());
      map.columns = heads;
      map.values.assign(static_cast<size_t>(map.rows * heads), std::numeric_limits<double>::quiet_NaN());
    }
    const auto values = tensor.to_vector<double>();
    std::copy(values.begin(), values.end(), maps[what].values.begin() + layer * heads);
  }
  std::vector<Chart> charts;
  for (const auto& name : names) charts.emplace_back(maps[name]);
  return charts;
}

}  // namespace

std::vector<std::string> save_diagnosis(Env& env, const std::string& folder, const Diagnosis& d,
                                        const std::vector<std::pair<std::string, Tensor>>& learned) {
  constexpr int kColumns = 4;
  env.create_directories(folder);
  std::vector<std::string> paths;
  const auto save = [&](const std::string& name, const std::string& csv, const std::vector<Chart>& charts) {
    paths.push_back(folder + "/" + name + ".csv");
    env.write(paths.back(), csv);
    if (charts.empty()) return;
    paths.push_back(folder + "/" + name + ".png");
    save_grid(env, paths.back(), charts, std::min(kColumns, static_cast<int>(charts.size())),
              {.width = 420, .height = 320});
  };
  save("frequency_response", response_csv(d), response_charts(d));
  save("token_similarity", similarity_csv(d), {similarity_chart(d)});
  save("singular_values", singular_csv(d), {singular_chart(d)});
  save("coefficients", coefficient_csv(d, learned), coefficient_charts(d, learned));
  return paths;
}

}  // namespace gfsa::tasks
