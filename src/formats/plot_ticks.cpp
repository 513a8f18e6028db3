// Round numbers for axes, and how they are written.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "formats/plot_canvas.h"

namespace gfsa::plot {
namespace {

// 1.50e+04 -> 1.5e4
std::string scientific(double value, int decimals) {
  std::string text = fmt::format("{:.{}e}", value, decimals);
  const size_t e = text.find('e');
  std::string mantissa = text.substr(0, e);
  if (mantissa.find('.') != std::string::npos) {
    while (mantissa.back() == '0') mantissa.pop_back();
    if (mantissa.back() == '.') mantissa.pop_back();
  }
  return fmt::format("{}e{}", mantissa, std::stoi(text.substr(e + 1)));
}

std::string superscript(int number) {
  static constexpr const char* kDigits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out = number < 0 ? "⁻" : "";
  for (const char c : std::to_string(std::abs(number))) out += kDigits[c - '0'];
  return out;
}

// Tick labels of one axis share their decimals: 0.0, 0.5, 1.0; large ones are in thousands or millions: 0, 20k, 40k.
std::string tick_label(double value, double step, double largest) {
  if (std::abs(value) < step * 1e-6) return "0";
  if (largest < 1e-3) return with_minus(scientific(value, 3));
  double unit = 1;
  const char* suffix = "";
  if (largest >= 1e12) return with_minus(scientific(value, 3));
  if (largest >= 1e9) {
    unit = 1e9, suffix = "G";
  } else if (largest >= 1e6) {
    unit = 1e6, suffix = "M";
  } else if (largest >= 1e4) {
    unit = 1e3, suffix = "k";
  }
  const double scaled_step = step / unit;
  const int decimals = std::clamp(static_cast<int>(std::ceil(-std::log10(scaled_step) - 1e-9)), 0, 12);
  return with_minus(fmt::format("{:.{}f}{}", value / unit, decimals, suffix));
}

std::string log_label(int exponent, int multiple) {
  if (exponent >= -2 && exponent <= 3) return fmt::format("{:g}", multiple * std::pow(10.0, exponent));
  const std::string power = "10" + superscript(exponent);
  return multiple == 1 ? power : fmt::format("{}×{}", multiple, power);
}

}  // namespace

std::string with_minus(std::string text) {
  for (size_t at = text.find('-'); at != std::string::npos; at = text.find('-', at)) text.replace(at, 1, "−");
  return text;
}

Ticks linear_ticks(double low, double high, int count) {
  Ticks ticks;
  const double rough = (high - low) / std::max(1, count);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  ticks.step = 10 * power;
  for (const double multiple : {1.0, 2.0, 5.0}) {
    if (multiple * power >= rough * (1 - 1e-9)) {
      ticks.step = multiple * power;
      break;
    }
  }
  const double slack = 1e-9 * (high - low);
  for (double i = std::ceil((low - slack) / ticks.step); i * ticks.step <= high + slack && ticks.at.size() < 100; ++i) {
    ticks.at.push_back(i * ticks.step);
  }
  const double largest = std::max(std::abs(low), std::abs(high));
  for (const double at : ticks.at) ticks.labels.push_back(tick_label(at, ticks.step, largest));
  return ticks;
}

Ticks log_ticks(double low, double high, int count) {
  Ticks ticks;
  const int first = static_cast<int>(std::floor(std::log10(low) + 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(high) - 1e-9));
  const double decades = std::log10(high / low);
  const int stride = std::max(1, static_cast<int>(std::ceil(decades / std::max(1, count))));
  for (int exponent = first; exponent <= last; ++exponent) {
    for (int multiple = 1; multiple < 10; ++multiple) {
      const double at = multiple * std::pow(10.0, exponent);
      if (at < low * (1 - 1e-9) || at > high * (1 + 1e-9)) continue;
      const bool labelled =
          multiple == 1 ? exponent % stride == 0 : decades < 1 || (decades < 2.5 && (multiple == 2 || multiple == 5));
      if (stride > 1 && multiple > 1) continue;
      ticks.at.push_back(at);
      ticks.labels.push_back(labelled ? log_label(exponent, multiple) : "");
    }
  }
  return ticks;
}

}  // namespace gfsa::plot
