// registry.h -- the things that YAML names (model, data source, optimizer, schedule, filter, task): an ordered,
// explicit list.
//
// A registry is filled in one registry.cpp, one line a thing, inside a function-local static; never by static
// initialisers, which linkers drop from static libraries. Its order is the order of help, reference page and error
// messages.
//
//   const Registry<OptimizerConfig>& optimizer_registry() {
//     static const auto registry = [] {
//       Registry<OptimizerConfig> r("optimizer");
//       r.add<AdamWConfig>("adamw", "Adam with decoupled weight decay.");
//       return r;
//     }();
//     return registry;
//   }
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/strings.h"

namespace gfsa::config {

template <class Base, class... Args>
class Registry {
 public:
  using Factory = std::function<std::unique_ptr<Base>(Args...)>;
  struct Entry {
    std::string name, doc;
    Factory factory;
    std::type_index type;  // void unless known: which entry an object came from
  };

  // what: "optimizer", "filter"; the noun of messages.
  explicit Registry(std::string what) : what_(std::move(what)) {}

  // Refuses a name that is taken: an Error with exit code 1, for it is our own mistake.
  void add(const std::string& name, const std::string& doc, Factory factory) {
    std::type_index type = typeid(void);
    if constexpr (sizeof...(Args) == 0 && std::is_polymorphic_v<Base>) {
      const std::unique_ptr<Base> sample = factory();
      const Base& object = *sample;
      type = typeid(object);
    }
    insert(Entry{name, doc, std::move(factory), type});
  }
  template <class T>
  void add(const std::string& name, const std::string& doc) {
    insert(Entry{name, doc, [](Args... args) { return std::make_unique<T>(std::forward<Args>(args)...); }, typeid(T)});
  }

  // In the order of registration.
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : entries_) out.push_back(entry.name);
    return out;
  }
  const std::vector<Entry>& entries() const { return entries_; }
  const std::string& what() const { return what_; }
  bool has(const std::string& name) const { return find(name) != nullptr; }

  // An unknown name is bad input; the message lists all names and the nearest.
  std::unique_ptr<Base> make(const std::string& name, Args... args) const {
    const Entry* entry = find(name);
    if (entry == nullptr) {
      bad_input("unknown {} '{}', expected {}{}", what_, name, one_of(names()), did_you_mean(name, names()));
    }
    return entry->factory(std::forward<Args>(args)...);
  }

  // The name under which the object's own type was added, or "". Entries that share a type share the first one's name.
  std::string name_of(const Base& object) const {
    for (const auto& entry : entries_) {
      if (entry.type == std::type_index(typeid(object))) return entry.name;
    }
    return "";
  }

 private:
  const Entry* find(const std::string& name) const {
    for (const auto& entry : entries_) {
      if (entry.name == name) return &entry;
    }
    return nullptr;
  }
  void insert(Entry entry) {
    if (has(entry.name)) fail("{} '{}' is registered twice", what_, entry.name);
    entries_.push_back(std::move(entry));
  }

  std::string what_;
  std::vector<Entry> entries_;
};

}  // namespace gfsa::config
