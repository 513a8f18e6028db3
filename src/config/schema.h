// schema.h -- how a struct declares its keys, once. Reader, printer, help, reference page and resume diff are visitors.
//
//   struct AdamWConfig {
//     double lr = 5e-4;                          // the default is the member's own initialiser
//     std::array<double, 2> betas{0.9, 0.999};
//     void describe(config::Schema& s) {
//       s.field("lr", lr).positive().resume_may_change().doc("Peak learning rate.").source("DeiT, table 9");
//       s.field("betas", betas).each_in(0, 1).doc("Decay of the first and second moment.");
//       s.check(betas[0] < betas[1], "betas", "the first must be smaller than the second");
//     }
//   };
//
// describe() runs once for every visitor, also on objects that nobody reads from: it must have no effect but these
// calls, and should not depend on values, except in check(). A field's line is complete, and a reader has filled the
// member, when the full expression ends; so a check stands below the fields that it looks at.
#pragma once

#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/binding.h"
#include "config/registry.h"

namespace gfsa::config {

class Schema;

// Any struct with describe(Schema&), by reference.
class Described {
 public:
  template <class T>
  requires(!std::is_same_v<std::remove_cv_t<T>, Described>)
      Described(T& object)  // NOLINT: implicit, so that functions take a struct as it is
      : object_(&object), describe_([](void* p, Schema& s) { static_cast<T*>(p)->describe(s); }) {}
  void describe(Schema& s) const { describe_(object_, s); }

 private:
  void* object_;
  void (*describe_)(void*, Schema&);
};

// Everything said about one key.
struct FieldInfo {
  std::string name, doc, source, unit;
  Binding binding;
  double lower = -std::numeric_limits<double>::infinity(), upper = std::numeric_limits<double>::infinity();
  bool lower_open = false, upper_open = false;  // the bound itself is not allowed
  std::vector<std::string> choices;
  bool resume_may_change = false, required = false, is_path = false, not_empty = false, scalar_or_list = false;
};

// The builder that Schema::field returns; its destructor hands the finished line to the visitor. Bounds and choices
// hold for each element of a list. Nothing here throws for bad input.
class Field {
 public:
  Field(Schema& schema, FieldInfo info) : schema_(schema), info_(std::move(info)) {}
  ~Field();
  Field(const Field&) = delete;
  Field& operator=(const Field&) = delete;

  Field& positive() { return above(0); }
  Field& above(double bound) { return info_.lower = bound, info_.lower_open = true, *this; }
  Field& at_least(double bound) { return info_.lower = bound, info_.lower_open = false, *this; }
  Field& below(double bound) { return info_.upper = bound, info_.upper_open = true, *this; }
  Field& at_most(double bound) { return info_.upper = bound, info_.upper_open = false, *this; }
  Field& in(double lo, double hi) { return at_least(lo).at_most(hi); }  // both ends allowed
  Field& each_in(double lo, double hi) { return in(lo, hi); }
  Field& choices(std::vector<std::string> names) { return info_.choices = std::move(names), *this; }
  template <class Base, class... Args>
  Field& choices(const Registry<Base, Args...>& registry) {
    return choices(registry.names());
  }
  Field& unit(std::string text) { return info_.unit = std::move(text), *this; }
  Field& doc(std::string sentence) { return info_.doc = std::move(sentence), *this; }
  Field& source(std::string text) { return info_.source = std::move(text), *this; }  // paper, table, reference code
  Field& resume_may_change() { return info_.resume_may_change = true, *this; }
  Field& required() { return info_.required = true, *this; }              // the YAML must set it
  Field& path() { return info_.is_path = true, *this; }                   // names a file or folder; not empty
  Field& not_empty() { return info_.not_empty = true, *this; }            // text or list
  Field& scalar_or_list() { return info_.scalar_or_list = true, *this; }  // `x: a` means `x: [a]` (vectors only)

 private:
  Schema& schema_;
  FieldInfo info_;
};

// A choice by name, whose fields are keys beside the name; without the types.
struct Variant {
  struct Option {
    std::string name, doc;
  };
  std::string name, doc, what;  // key, sentence, noun ("optimizer")
  std::vector<Option> options;
  std::function<std::string()> chosen;             // "" if nothing is chosen yet
  std::function<void(const std::string&)> choose;  // replaces the object by a fresh one of that name
  std::function<void(Schema&)> describe;           // the chosen object's fields; nothing if none is chosen
  std::function<std::shared_ptr<void>(const std::string&, Schema&)>
      describe_option;  // of a fresh object, kept by the result

  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& option : options) out.push_back(option.name);
    return out;
  }
};

// The interface that describe() talks to.
class Schema {
 public:
  virtual ~Schema() = default;

  template <class T>
  Field field(std::string name, T& member) {
    FieldInfo info;
    info.name = std::move(name);
    info.binding = bind(member);
    return Field(*this, std::move(info));
  }

  // A nested map of keys.
  template <class T>
  void section(std::string name, T& object, std::string doc) {
    visit_section(name, doc, Described(object));
  }

  // The type of `object` by the registry's name under key `name`; the chosen type's own keys stand beside it. A null
  // pointer means that the YAML must choose; otherwise what it points to is the default. Base has virtual void
  // describe(Schema&), and every entry a type of its own.
  template <class Base>
  void variant(std::string name, std::unique_ptr<Base>& object, const Registry<Base>& registry, std::string doc);

  // Section `name` that consists of a variant alone: `optimizer: {name: adamw, lr: 1e-3}`, in short `optimizer: adamw`.
  template <class Base>
  void section(std::string name, std::unique_ptr<Base>& object, const Registry<Base>& registry, std::string doc) {
    struct Choice {
      std::unique_ptr<Base>& object;
      const Registry<Base>& registry;
      void describe(Schema& s) {
        s.shorthand("name");
        s.variant("name", object, registry, "Which " + registry.what() + ".");
      }
    } choice{object, registry};
    visit_section(name, doc, Described(choice));
  }

  // A scalar where this section's map is expected sets that key: `attention: gfsa`.
  virtual void shorthand(const std::string& key) = 0;

  // Across keys. Judged by the reader only, when the section's keys so far were read without error; `key` may be a
  // dotted path below this section. message: what must hold.
  virtual void check(bool holds, const std::string& key, const std::string& message) = 0;

 protected:
  friend class Field;
  virtual void visit_field(FieldInfo& info) = 0;
  virtual void visit_section(const std::string& name, const std::string& doc, Described section) = 0;
  virtual void visit_variant(Variant& variant) = 0;

  // An exception from a visit inside ~Field; every visitor calls this when it is done.
  void rethrow_if_failed() {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  std::exception_ptr failure_;
};

inline Field::~Field() {
  try {
    schema_.visit_field(info_);
  } catch (...) {
    if (!schema_.failure_) schema_.failure_ = std::current_exception();
  }
}

template <class Base>
void Schema::variant(std::string name, std::unique_ptr<Base>& object, const Registry<Base>& registry, std::string doc) {
  Variant v;
  v.name = std::move(name);
  v.doc = std::move(doc);
  v.what = registry.what();
  for (const auto& entry : registry.entries()) v.options.push_back({entry.name, entry.doc});
  v.chosen = [&] { return object ? registry.name_of(*object) : std::string(); };
  v.choose = [&](const std::string& choice) { object = registry.make(choice); };
  v.describe = [&](Schema& s) {
    if (object) object->describe(s);
  };
  v.describe_option = [&](const std::string& choice, Schema& s) -> std::shared_ptr<void> {
    std::shared_ptr<Base> fresh = registry.make(choice);
    fresh->describe(s);
    return fresh;
  };
  visit_variant(v);
}

}  // namespace gfsa::config
