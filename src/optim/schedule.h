// schedule.h -- the learning rate as a pure function of the position in the run, so that a resumed run needs no state.
//
// Time t is counted in steps (`per: step`) or epochs (`per: epoch`), from 0. For t below the warm-up W the rate rises
// linearly from warmup_lr: warmup_lr + (lr - warmup_lr) t / W, as timm and Hugging Face count. After it the schedule's
// curve runs from lr at t = W to min_lr at t = T, the length of the run. With warmup_prefix: false the curve starts at
// t = 0 and the warm-up hides its beginning, as timm's default does. Noam counts by itself (see below).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "config/schema.h"

namespace gfsa {

struct SchedulePosition {
  int64_t step = 0;             // updates made before this one, in the whole run
  int64_t steps_per_epoch = 1;  // at least 1; also for runs that are measured in steps
  int64_t total_steps = 1;
};

// In the schedule's unit of time.
struct ScheduleSpan {
  double lr = 0, min_lr = 0;
  double warmup = 0;  // may be 0
  double total = 0;   // of the run
  double begin = 0;   // where the curve starts: warmup, or 0 without warmup_prefix
  // How far t is from begin to total, within [0, 1].
  double progress(double t) const;
};

class Schedule {
 public:
  virtual ~Schedule() = default;
  virtual void describe(config::Schema&) {}
  // The rate at t; called for t >= warmup, and for every t if warms_up_itself().
  virtual double lr(double t, const ScheduleSpan& span) const = 0;
  virtual bool warms_up_itself() const { return false; }
};

class ConstantSchedule : public Schedule {
 public:
  double lr(double t, const ScheduleSpan& span) const override;
};
class LinearSchedule : public Schedule {
 public:
  double lr(double t, const ScheduleSpan& span) const override;
};
class CosineSchedule : public Schedule {
 public:
  double lr(double t, const ScheduleSpan& span) const override;
};
class PolynomialSchedule : public Schedule {
 public:
  void describe(config::Schema& s) override;
  double lr(double t, const ScheduleSpan& span) const override;

 private:
  double power_ = 1;
};
// lr sqrt(W) min(n^-1/2, n W^-3/2) with n = t + 1: the peak is lr, at the W-th update (SpeechBrain's NoamScheduler).
// The original's scale d_model^-1/2 is part of lr.
class NoamSchedule : public Schedule {
 public:
  double lr(double t, const ScheduleSpan& span) const override;
  bool warms_up_itself() const override { return true; }
};
// lr sqrt(max(W, 1) / max(t, 1)), fairseq.
class InverseSqrtSchedule : public Schedule {
 public:
  double lr(double t, const ScheduleSpan& span) const override;
};

// The config's section `schedule`.
struct ScheduleConfig {
  ScheduleConfig();
  std::unique_ptr<Schedule> curve;  // cosine
  double warmup_epochs = 0;
  int64_t warmup_steps = 0;
  double warmup_lr = 0;
  double min_lr = 0;
  std::string per = "step";
  bool warmup_prefix = true;
  int64_t epoch_lag = 0;

  void describe(config::Schema& s);
  double lr(double base_lr, const SchedulePosition& now) const;
};

}  // namespace gfsa
