// program.h -- what the mains share: parse, run, print one message, end with the exit codes of base/error.h.
#pragma once

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/threads.h"
#include "train/version.h"

namespace gfsa::apps {

inline std::string version_text(const char* program) {
  std::vector<std::string> libraries;
  for (const auto& [name, version] : train::libraries()) libraries.push_back(name + " " + version);
  return fmt::format("{} {} (commit {}, {})\n{}", program, train::version(), train::commit(), train::compiler(),
                     fmt::join(libraries, ", "));
}

// "--resmue: unknown option; did you mean '--resume'?" for the first argument that is none, or "".
inline std::string unknown_option(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "--") break;
    word = word.substr(0, word.find('='));
    if (!word.starts_with("--") || std::find(names.begin(), names.end(), word) != names.end()) continue;
    return fmt::format("{}: unknown option{}", word, did_you_mean(word, names));
  }
  return "";
}

// declare(app, arguments) adds the options; run(arguments) does the work and gives the exit code.
template <class Arguments, class Declare, class Run>
int run_program(const char* name, int argc, char** argv, const Declare& declare, const Run& run) try {
  flush_denormals();
  CLI::App app;
  Arguments arguments;
  declare(app, arguments);
  app.set_version_flag("--version", version_text(name), "Print version, commit, compiler and libraries, and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError& e) {
    const std::string message = unknown_option(app, argc, argv);
    std::fprintf(stderr, "%s; --help lists all\n", message.empty() ? e.what() : message.c_str());
    return kExitBadInput;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitDone : kExitBadInput;
  }
  log::set_up();
  try {
    return run(arguments);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.message().c_str());
    return e.exit_code();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "failed: %s\n", e.what());
    return kExitFailed;
  }
} catch (const std::bad_alloc&) {  // also while an error was put into words
  std::fputs(
      "out of memory: lower train.batch_size (train.accumulate makes up for it), eval.batch_size, data.cache_mb, "
      "data.workers or data.prefetch; --dry-run tells what is needed\n",
      stderr);
  return kExitFailed;
}

}  // namespace gfsa::apps
