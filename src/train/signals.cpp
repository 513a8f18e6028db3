#include "train/signals.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "base/error.h"

namespace gfsa::train {
namespace {

// Atomics: any thread may be the one that a signal comes to.
std::atomic<int> stop_signal = 0;
std::atomic<bool> checkpoint_wanted = false;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);
int objects = 0;
struct sigaction previous_int, previous_term, previous_usr1;

void on_signal(int number) {
  if (number == SIGUSR1) {
    checkpoint_wanted = true;
    return;
  }
  if (number == SIGINT && stop_signal == SIGINT) _exit(kExitInterrupted);  // the user insists
  stop_signal = number;
}

}  // namespace

Signals::Signals() {
  if (objects++ > 0) return;
  stop_signal = 0;
  checkpoint_wanted = false;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &previous_int);
  sigaction(SIGTERM, &action, &previous_term);
  sigaction(SIGUSR1, &action, &previous_usr1);
}

Signals::~Signals() {
  if (--objects > 0) return;
  sigaction(SIGINT, &previous_int, nullptr);
  sigaction(SIGTERM, &previous_term, nullptr);
  sigaction(SIGUSR1, &previous_usr1, nullptr);
}

int Signals::stop_requested() const { return stop_signal; }

int Signals::exit_code() const {
  const int stop = stop_signal;
  return stop == 0 ? kExitDone : stop == SIGINT ? kExitInterrupted : kExitTerminated;
}

bool Signals::take_checkpoint_request() { return checkpoint_wanted.exchange(false); }

}  // namespace gfsa::train
