#include "config/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "config/example_config.h"

namespace gfsa::config::example {
namespace {

using testing::ElementsAre;

struct Shape {
  virtual ~Shape() = default;
  virtual int corners() const = 0;
};
struct Triangle : Shape {
  int corners() const override { return 3; }
};
struct Polygon : Shape {
  explicit Polygon(int n) : n_(n) {}
  int corners() const override { return n_; }

 private:
  int n_;
};

template <class F>
Error error_in(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  return Error(kExitDone, "no error");
}

TEST(Registry, KeepsTheOrder) { EXPECT_THAT(optimizer_registry().names(), ElementsAre("adamw", "sgd")); }

TEST(Registry, MakesByName) {
  const auto made = optimizer_registry().make("sgd");
  EXPECT_NE(dynamic_cast<SgdConfig*>(made.get()), nullptr);
  EXPECT_EQ(optimizer_registry().name_of(*made), "sgd");
}

TEST(Registry, FactoryEntriesKnowTheirTypeToo) {
  Registry<Shape> shapes("shape");
  shapes.add("triangle", "Three.", [] { return std::make_unique<Triangle>(); });
  EXPECT_EQ(shapes.name_of(Triangle()), "triangle");
  EXPECT_EQ(shapes.name_of(Polygon(5)), "");
}

TEST(Registry, ArgumentsReachTheFactory) {
  Registry<Shape, int> shapes("shape");
  shapes.add<Polygon>("polygon", "Any.");
  EXPECT_EQ(shapes.make("polygon", 7)->corners(), 7);
}

TEST(Registry, UnknownNameSaysTheNearest) {
  const Error error = error_in([] { optimizer_registry().make("adamv"); });
  EXPECT_EQ(error.exit_code(), kExitBadInput);
  EXPECT_EQ(error.message(), "unknown optimizer 'adamv', expected adamw or sgd; did you mean 'adamw'?");
}

TEST(Registry, RefusesDuplicates) {
  Registry<Shape> shapes("shape");
  shapes.add<Triangle>("triangle", "Three.");
  const Error error = error_in([&] { shapes.add<Triangle>("triangle", "Again."); });
  EXPECT_EQ(error.exit_code(), kExitFailed);
  EXPECT_EQ(error.message(), "shape 'triangle' is registered twice");
}

}  // namespace
}  // namespace gfsa::config::example
