#include "formats/plot.h"

#include <cmath>
#include <limits>

#include "formats/format_files.h"
#include "formats/plot_canvas.h"

namespace gfsa {
namespace {

Image decoded(const std::string& png) { return decode_image(test::as_bytes(png), "plot"); }

int64_t count_pixels(const Image& image, int r, int g, int b) {
  int64_t count = 0;
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    count +=
        std::abs(image.rgb[i] - r) <= 2 && std::abs(image.rgb[i + 1] - g) <= 2 && std::abs(image.rgb[i + 2] - b) <= 2;
  }
  return count;
}

bool rim_is_white(const Image& image) {
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      if (x > 3 && y > 3 && x < image.width - 4 && y < image.height - 4) continue;
      const uint8_t* p = &image.rgb[static_cast<size_t>((y * image.width + x) * 3)];
      if (p[0] != 255 || p[1] != 255 || p[2] != 255) return false;
    }
  }
  return true;
}

LineChart two_lines() {
  LineChart chart;
  chart.title = "Loss";
  chart.x_label = "step";
  chart.y_label = "loss";
  chart.series = {{"train", {0, 1, 2}, {3, 2, 1}}, {"eval", {0, 1, 2}, {4, 2.5, 1.5}, true, true}};
  return chart;
}

TEST(Plot, DrawsLinesInTheirColours) {
  const Image image = decoded(render_grid({two_lines()}, 1, {300, 200}));
  EXPECT_EQ(image.width, 600);
  EXPECT_EQ(image.height, 400);
  EXPECT_TRUE(rim_is_white(image));
  EXPECT_GT(count_pixels(image, 0x00, 0x72, 0xB2), 300);  // a line and its key
  EXPECT_GT(count_pixels(image, 0xD5, 0x5E, 0x00), 150);
}

TEST(Plot, DrawsPointsWithTheirMeanAndInterval) {
  PointChart chart;
  chart.title = "Over seeds";
  chart.y_label = "top1";
  chart.groups = {{"attention=gfsa", {80.1, 80.3, 80.6}, 80.33, 79.7, 80.96},
                  {"attention=softmax with a very long name that needs several lines", {79.5}, 79.5, NAN, NAN},
                  {"nothing", {NAN}, NAN, NAN, NAN}};
  const Image image = decoded(render_grid({chart}, 1, {400, 300}));
  EXPECT_TRUE(rim_is_white(image));
  EXPECT_GT(count_pixels(image, 0x21, 0x21, 0x21), 300);  // bars and whiskers
  chart.groups[0].low = chart.groups[0].high = NAN;
  EXPECT_LT(count_pixels(decoded(render_grid({chart}, 1, {400, 300})), 0x21, 0x21, 0x21),
            count_pixels(image, 0x21, 0x21, 0x21));
  chart.groups.clear();
  EXPECT_TRUE(rim_is_white(decoded(render_grid({chart}, 1, {400, 300}))));
}

TEST(Plot, LaysChartsOutInAGrid) {
  const Image image = decoded(render_grid({two_lines(), LineChart{}, two_lines()}, 2, {200, 150}));
  EXPECT_EQ(image.width, 2 * 2 * 200);
  EXPECT_EQ(image.height, 2 * 2 * 150);
  const std::string path = test::test_path("grid.png");
  save_grid(Env::real(), path, {two_lines()}, 3);
  EXPECT_EQ(decoded(Env::real().read(path)).width, 2 * ChartSize{}.width);
  EXPECT_GT(decoded(render_grid({}, 2)).width, 0);
}

TEST(Plot, TakesOddSeries) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<double>> ys = {{},           {5},
                                               {5, 5},       {kNan, kNan},
                                               {1, kInf, 2}, {1e300, -1e300},
                                               {0, 0},       {1e-300, 2e-300},
                                               {-1, -2},     {1e15, 1e15 + 1}};
  for (const auto& y : ys) {
    for (const bool log : {false, true}) {
      LineChart chart = two_lines();
      chart.log_x = chart.log_y = log;
      chart.series = {{"s", {}, y}};
      for (size_t i = 0; i < y.size(); ++i) chart.series[0].x.push_back(static_cast<double>(i));
      const Image image = decoded(render_grid({chart}, 1, {150, 120}));
      EXPECT_EQ(image.width, 300);
    }
  }
  LineChart many;
  for (int i = 0; i < 150; ++i)
    many.series.push_back({"a series with a long name " + std::to_string(i), {0, 1}, {0, 1.0 * i}});
  EXPECT_TRUE(rim_is_white(decoded(render_grid({many}, 1, {300, 250}))));
  EXPECT_GT(decoded(render_grid({two_lines()}, 1, {20, 20})).width, 0);
}

TEST(Plot, DrawsHeatMaps) {
  HeatMap map;
  map.title = "Confusion matrix";
  map.rows = map.columns = 2;
  map.values = {10, 0, 0, 10};
  map.row_names = map.column_names = {"cat", "a dog with a long name"};
  const Image image = decoded(render_grid({map}, 1, {300, 250}));
  EXPECT_TRUE(rim_is_white(image));
  EXPECT_GT(count_pixels(image, 0x08, 0x30, 0x6B), 5000);  // the two dark cells

  map.values = {-1, 0, 0.5, std::numeric_limits<double>::quiet_NaN()};
  const Image signed_map = decoded(render_grid({map}, 1, {300, 250}));
  EXPECT_GT(count_pixels(signed_map, 0x67, 0x00, 0x1F), 2000);  // -1 is the red end
  EXPECT_EQ(count_pixels(signed_map, 0x08, 0x30, 0x6B), 0);

  HeatMap flat;
  flat.rows = 1, flat.columns = 300;
  flat.values.assign(300, 0.0);
  EXPECT_GT(decoded(render_grid({flat}, 1)).width, 0);
}

TEST(Plot, RefusesInconsistentLengths) {
  LineChart chart = two_lines();
  chart.series[1].y.pop_back();
  EXPECT_THROW(render_grid({chart}, 1), Error);
  HeatMap map;
  map.rows = map.columns = 2;
  map.values = {1, 2, 3};
  EXPECT_THROW(render_grid({map}, 1), Error);
  map.values.push_back(4);
  map.row_names = {"one"};
  EXPECT_THROW(render_grid({map}, 1), Error);
  EXPECT_THROW(render_image_grid({{Image{2, 2, {1, 2, 3}}, ""}}, 1), Error);
}

TEST(Plot, ShowsPicturesPixelByPixel) {
  Image picture{2, 2, {250, 0, 0, 0, 250, 0, 0, 0, 250, 250, 250, 0}};
  const Image sheet =
      decoded(render_image_grid({{picture, "cat"}, {picture, "a dog with a very long name\n0.5"}}, 2, 40));
  EXPECT_EQ(count_pixels(sheet, 250, 0, 0), 2 * 20 * 20);
  EXPECT_EQ(count_pixels(sheet, 250, 250, 0), 2 * 20 * 20);
  const Image wide{200, 100, std::vector<uint8_t>(60000, 7)};
  EXPECT_GT(count_pixels(decoded(render_image_grid({{wide, ""}}, 1, 40)), 7, 7, 7), 40 * 17);
}

TEST(Plot, PutsTicksAtRoundNumbers) {
  const auto labels = [](const plot::Ticks& ticks) {
    std::string out;
    for (const std::string& label : ticks.labels) out += label + " ";
    return out;
  };
  EXPECT_EQ(labels(plot::linear_ticks(0, 1, 5)), "0 0.2 0.4 0.6 0.8 1.0 ");
  EXPECT_EQ(labels(plot::linear_ticks(-1.1, 1.1, 4)), "−1 0 1 ");
  EXPECT_EQ(labels(plot::linear_ticks(0, 20000, 4)), "0 5k 10k 15k 20k ");
  EXPECT_EQ(labels(plot::linear_ticks(0, 3e6, 3)), "0 1M 2M 3M ");
  EXPECT_EQ(labels(plot::linear_ticks(0, 5e-4, 5)), "0 1e−4 2e−4 3e−4 4e−4 5e−4 ");
  EXPECT_EQ(labels(plot::log_ticks(1e-4, 1e4, 10)).find("10⁻⁴ "), 0u);
  EXPECT_EQ(labels(plot::log_ticks(0.2, 0.9, 5)), "0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 ");
}

}  // namespace
}  // namespace gfsa
