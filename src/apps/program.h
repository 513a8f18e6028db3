// program.h -- what the mains share: parse, run, print one message, end with the exit codes of base/error.h.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/error.h"
#include "base/log.h"

namespace gfsa::apps {

// declare(app, arguments) adds the options; run(arguments) does the work and gives the exit code.
template <class Arguments, class Declare, class Run>
int run_program(int argc, char** argv, const Declare& declare, const Run& run) {
  CLI::App app;
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitDone : kExitBadInput;
  }
  log::set_up();
  try {
    return run(arguments);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.message().c_str());
    return e.exit_code();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "failed: %s\n", e.what());
    return kExitFailed;
  }
}

}  // namespace gfsa::apps
