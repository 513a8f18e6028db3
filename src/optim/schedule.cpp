#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "optim/registry.h"

namespace gfsa {

double ScheduleSpan::progress(double t) const {
  return total > begin ? std::clamp((t - begin) / (total - begin), 0.0, 1.0) : 1.0;
}

double ConstantSchedule::lr(double, const ScheduleSpan& span) const { return span.lr; }

double LinearSchedule::lr(double t, const ScheduleSpan& span) const {
  return span.min_lr + (span.lr - span.min_lr) * (1 - span.progress(t));
}

double CosineSchedule::lr(double t, const ScheduleSpan& span) const {
  return span.min_lr + 0.5 * (span.lr - span.min_lr) * (1 + std::cos(std::numbers::pi * span.progress(t)));
}

void PolynomialSchedule::describe(config::Schema& s) {
  s.field("power", power_).positive().doc("Exponent of what is left of the run; 1 is linear.");
}

double PolynomialSchedule::lr(double t, const ScheduleSpan& span) const {
  return span.min_lr + (span.lr - span.min_lr) * std::pow(1 - span.progress(t), power_);
}

double NoamSchedule::lr(double t, const ScheduleSpan& span) const {
  const double n = t + 1, warmup = std::max(span.warmup, 1.0);
  const double lr = span.lr * std::sqrt(warmup) * std::min(1 / std::sqrt(n), n / (warmup * std::sqrt(warmup)));
  return n < warmup ? lr : std::max(lr, span.min_lr);
}

double InverseSqrtSchedule::lr(double t, const ScheduleSpan& span) const {
  return std::max(span.min_lr, span.lr * std::sqrt(std::max(span.warmup, 1.0) / std::max(t, 1.0)));
}

ScheduleConfig::ScheduleConfig() : curve(std::make_unique<CosineSchedule>()) {}

void ScheduleConfig::describe(config::Schema& s) {
  s.shorthand("name");
  s.variant("name", curve, schedule_registry(), "Course of the learning rate after the warm-up.");
  s.field("warmup_epochs", warmup_epochs).at_least(0).unit("epochs").doc("Length of the warm-up; fractions count.");
  s.field("warmup_steps", warmup_steps).at_least(0).unit("steps").doc("Length of the warm-up, instead of epochs.");
  s.field("warmup_lr", warmup_lr).at_least(0).doc("Learning rate at the first step of the warm-up.");
  s.field("min_lr", min_lr).at_least(0).doc("Learning rate at the end of the run.");
  s.field("per", per).choices({"step", "epoch"}).doc("Whether the rate moves with every step or once an epoch.");
  s.field("warmup_prefix", warmup_prefix)
      .doc("The curve starts after the warm-up; false: at 0, and the warm-up hides its beginning.")
      .source("timm CosineLRScheduler, whose default is false");
  s.field("epoch_lag", epoch_lag)
      .at_least(0)
      .unit("epochs")
      .doc("Epoch e trains at the rate of epoch max(0, e - epoch_lag); only with per: epoch.")
      .source("DeiT calls step(epoch) after the epoch: 1");
  s.check(warmup_epochs == 0 || warmup_steps == 0, "warmup_steps", "only one of warmup_epochs and warmup_steps");
  s.check(per == "epoch" || epoch_lag == 0, "epoch_lag", "needs per: epoch");
  s.check(per == "step" || warmup_steps == 0, "warmup_steps", "per: epoch needs warmup_epochs");
}

double ScheduleConfig::lr(double base_lr, const SchedulePosition& now) const {
  const double per_epoch = static_cast<double>(std::max<int64_t>(now.steps_per_epoch, 1));
  ScheduleSpan span;
  span.lr = base_lr;
  span.min_lr = std::min(min_lr, base_lr);
  double t;
  if (per == "epoch") {
    t = static_cast<double>(std::max<int64_t>(0, now.step / static_cast<int64_t>(per_epoch) - epoch_lag));
    span.total = static_cast<double>(now.total_steps) / per_epoch;
    span.warmup = warmup_epochs;
  } else {
    t = static_cast<double>(now.step);
    span.total = static_cast<double>(now.total_steps);
    span.warmup = warmup_steps > 0 ? static_cast<double>(warmup_steps) : warmup_epochs * per_epoch;
  }
  span.begin = warmup_prefix ? span.warmup : 0;
  if (t < span.warmup && !curve->warms_up_itself()) return warmup_lr + (base_lr - warmup_lr) * t / span.warmup;
  return curve->lr(t, span);
}

void register_schedules(config::Registry<Schedule>& registry) {
  registry.add<ConstantSchedule>("constant", "The base learning rate after the warm-up.");
  registry.add<LinearSchedule>("linear", "A straight line down to min_lr.");
  registry.add<CosineSchedule>("cosine", "Half a cosine down to min_lr (Loshchilov, Hutter 2017).");
  registry.add<PolynomialSchedule>("polynomial", "min_lr + (lr - min_lr) (1 - progress)^power.");
  registry.add<NoamSchedule>("noam",
                             "Linear up to lr at the end of the warm-up, then 1 / sqrt(step) (Vaswani et al. 2017).");
  registry.add<InverseSqrtSchedule>("inverse_sqrt", "After the warm-up lr sqrt(warmup / step) (fairseq).");
}

}  // namespace gfsa
