// signals.h -- SIGINT, SIGTERM and SIGUSR1 as requests that the training loop reads between steps; the handlers set a
// flag and do nothing else.
//
// SIGINT, SIGTERM: write a checkpoint at the next step boundary, exit 130 / 143. SIGUSR1 (batch systems send it before
// the time limit): write a checkpoint and go on. A second SIGINT ends the process at once.
//
// The handlers are there before the run directory is: a signal that comes while data and model load, or while memory
// is estimated, takes effect at the first step boundary, with a checkpoint of step 0 (none if the run goes on from
// one). Before that, while arguments and configuration are read, each of the three ends the process as it ends any
// (130, 143, 138 in a shell); nothing has been written then.
#pragma once

namespace gfsa::train {

class Signals {
 public:
  // Installs the handlers; the previous ones come back at destruction. Objects may nest (runs one after another within
  // one that spans them): the outermost installs, and all see the same requests.
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // 0, or the number of the signal that asks to stop.
  int stop_requested() const;
  // What the process ends with if it stops now: 0, 130 or 143 (base/error.h).
  int exit_code() const;
  // Whether a checkpoint was asked for since the last call.
  bool take_checkpoint_request();
};

}  // namespace gfsa::train
