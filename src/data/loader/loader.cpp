#include "data/loader/loader.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <thread>

#include "base/env.h"
#include "base/error.h"
#include "base/log.h"
#include "core/profile.h"

namespace gfsa::data {
namespace {

constexpr int64_t kMaxSkipsInARow = 1000;  // so many broken neighbours are a broken disk, not broken files

// One batch under construction. Guarded by State::mutex, but for `batch`, whose slots belong to who took them.
struct Job {
  std::shared_ptr<const EpochPlan> plan;
  Batch batch;
  bool allocated = false, done = false;
  int64_t next_slot = 0, filled = 0;
  std::exception_ptr error;  // of the first slot in order that failed
  int64_t error_slot = INT64_MAX;

  std::span<const SampleRef> samples() const { return plan->batch(batch.index); }
};

}  // namespace

void LoaderConfig::describe(config::Schema& s) {
  s.field("workers", workers)
      .in(0, 256)
      .resume_may_change()
      .doc("Threads that read and prepare samples; 0: the training thread does it. The data are the same.");
  s.field("prefetch", prefetch).in(1, 256).resume_may_change().unit("batches").doc("Batches prepared ahead.");
  s.field("on_error", on_error)
      .choices({"fail", "skip"})
      .resume_may_change()
      .doc("A broken sample ends the run, or the next one in the source takes its place and is counted.");
}

struct Loader::State {
  State(BatchMaker& m, const BatchOrder& o, const LoaderConfig& c, int64_t end)
      : maker(m), order(o), config(c), end_epoch(end) {}

  BatchMaker& maker;
  const BatchOrder& order;
  const LoaderConfig config;
  const int64_t end_epoch;

  mutable std::mutex mutex;
  std::condition_variable work, ready;
  std::deque<std::shared_ptr<Job>> jobs;  // in order; the front is the caller's next
  LoaderPosition create;                  // of the next job
  std::shared_ptr<const EpochPlan> plan;  // of create.epoch, once it was needed
  bool creating = false, exhausted = false;
  std::atomic<bool> stop{false};  // set under the lock, looked at between samples without it
  std::exception_ptr create_error;
  std::map<int64_t, SkippedSample> broken;

  // The caller's alone.
  LoaderPosition due;
  LoaderFigures figures;
  double started = -1;
  std::exception_ptr failure;
  std::vector<std::thread> threads;

  // Moves `create` to an epoch that has a batch there, making its plan. Takes time for large sources: without the lock.
  bool prepare_plan() {
    while (create.epoch < end_epoch) {
      if (!plan) plan = std::make_shared<const EpochPlan>(order.plan(create.epoch));
      if (create.batch < plan->batches()) return true;
      if (plan->batches() == 0 && end_epoch == INT64_MAX) fail("data: epoch {} has no batches", create.epoch);
      plan.reset();
      ++create.epoch, create.batch = 0;
    }
    return false;
  }

  // The next job, allocated; null at the end. Throws what plan or allocate() throw. One thread at a time.
  std::shared_ptr<Job> create_job() {
    if (!prepare_plan()) return nullptr;
    auto job = std::make_shared<Job>();
    job->plan = plan;
    job->batch.epoch = create.epoch;
    job->batch.index = create.batch++;
    job->batch.size = static_cast<int64_t>(job->samples().size());
    return job;
  }
  void allocate(Job& job) {
    try {
      maker.allocate(job.batch, job.samples());
    } catch (...) {
      job.error = std::current_exception();
      job.error_slot = -1;
    }
  }

  // "sample 17 (cat/3.jpg): why", the name once.
  std::string worded(int64_t index, const std::string& why) const {
    const auto name = maker.sample_name(index);
    return why.find(name) != std::string::npos ? fmt::format("sample {}: {}", index, why)
                                               : fmt::format("sample {} ({}): {}", index, name, why);
  }
  [[noreturn]] void rethrow_named(const SampleRef& sample) const {
    try {
      throw;
    } catch (const Error& e) {
      throw Error(e.exit_code(), "data: " + worded(sample.index, e.message()));
    } catch (const std::bad_alloc&) {
      throw;  // no fault of the sample's
    } catch (const std::exception& e) {
      throw Error(kExitFailed, "data: " + worded(sample.index, e.what()));
    }
  }
  void note_broken(int64_t index, const std::string& why) {
    const std::string name = maker.sample_name(index);
    std::lock_guard lock(mutex);
    if (broken.emplace(index, SkippedSample{index, name, why}).second) {
      log::warn("data: skipping {}", worded(index, why));
    }
  }
  bool is_known_broken(int64_t index) {
    std::lock_guard lock(mutex);
    return broken.count(index) != 0;
  }

  void fill_slot(Job& job, int64_t slot) {
    const SampleRef wanted = job.samples()[static_cast<size_t>(slot)];
    if (config.on_error != "skip") {
      try {
        maker.fill(job.batch, slot, wanted);
      } catch (...) {
        rethrow_named(wanted);
      }
      return;
    }
    const int64_t attempts = std::min(maker.size(), kMaxSkipsInARow);
    for (int64_t i = 0; i < attempts; ++i) {
      SampleRef sample = wanted;
      sample.index = (wanted.index + i) % maker.size();
      if (is_known_broken(sample.index)) continue;
      try {
        maker.fill(job.batch, slot, sample);
        return;
      } catch (const Error& e) {
        if (e.exit_code() != kExitBadInput) rethrow_named(sample);  // our failure, not the sample's
        note_broken(sample.index, e.message());
      } catch (...) {
        rethrow_named(sample);
      }
    }
    bad_input("data: {} samples in a row from {} ({}) are broken, so none can take its place", attempts, wanted.index,
              maker.sample_name(wanted.index));
  }

  void finish(Job& job) {
    const ProfileRange range("finish a batch");
    try {
      if (!job.error) maker.finish(job.batch);
    } catch (...) {
      job.error = std::current_exception();
    }
    job.batch.scratch.reset();
  }

  // workers: 0
  std::shared_ptr<Job> make_here() {
    auto job = create_job();
    if (!job) return nullptr;
    allocate(*job);
    for (int64_t slot = 0; slot < job->batch.size && !job->error; ++slot) {
      try {
        fill_slot(*job, slot);
      } catch (...) {
        job->error = std::current_exception();
      }
    }
    finish(*job);
    return job;
  }

  std::shared_ptr<Job> job_with_work() const {
    for (const auto& job : jobs) {
      if (job->allocated && job->next_slot < job->batch.size) return job;
    }
    return nullptr;
  }
  bool may_create() const {
    return !creating && !exhausted && !create_error && static_cast<int>(jobs.size()) < config.prefetch;
  }

  void run_worker() {
    profile::name_thread("data loader");
    std::unique_lock lock(mutex);
    while (!stop) {
      if (auto job = job_with_work()) {
        fill_some(lock, *job);
      } else if (may_create()) {
        create_next(lock);
      } else {
        work.wait(lock);
      }
    }
  }

  void create_next(std::unique_lock<std::mutex>& lock) {
    creating = true;
    std::shared_ptr<Job> job;
    std::exception_ptr error;
    lock.unlock();
    try {
      const ProfileRange range("begin a batch");
      job = create_job();
      if (job) allocate(*job);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    creating = false;
    if (job) {
      job->allocated = true;
      if (job->error) job->next_slot = job->batch.size, job->done = true;
      try {
        jobs.push_back(job);
      } catch (...) {
        error = std::current_exception();
      }
    }
    create_error = error;
    exhausted = !job && !error;
    work.notify_all();
    ready.notify_all();
  }

  // Takes a run of slots, so that workers do not meet at the lock for every sample, yet share the last ones of a batch.
  void fill_some(std::unique_lock<std::mutex>& lock, Job& job) {
    const int64_t left = job.batch.size - job.next_slot;
    const int64_t begin = job.next_slot, end = begin + std::max<int64_t>(1, left / (4 * config.workers));
    job.next_slot = end;
    lock.unlock();
    std::exception_ptr error;
    int64_t error_slot = INT64_MAX, slot = begin;
    {
      const ProfileRange range("make samples");
      for (; slot < end && !error; ++slot) {
        if (stop) break;
        try {
          fill_slot(job, slot);
        } catch (...) {
          error = std::current_exception(), error_slot = slot;
        }
      }
    }
    lock.lock();
    if (error_slot < job.error_slot) job.error = error, job.error_slot = error_slot;
    job.filled += end - begin;
    if (job.filled < job.batch.size || stop) return;
    lock.unlock();
    finish(job);
    lock.lock();
    job.done = true;
    ready.notify_all();
  }

  void end_threads() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    work.notify_all();
    for (auto& thread : threads) thread.join();
  }

  std::shared_ptr<Job> wait_for_front() {
    std::unique_lock lock(mutex);
    ready.wait(lock, [&] { return jobs.empty() ? exhausted || create_error : jobs.front()->done; });
    if (jobs.empty()) {
      if (create_error) std::rethrow_exception(create_error);
      return nullptr;
    }
    auto job = std::move(jobs.front());
    jobs.pop_front();
    work.notify_all();
    return job;
  }

  std::shared_ptr<Job> take() {
    auto job = config.workers == 0 ? make_here() : wait_for_front();
    if (job && job->error) std::rethrow_exception(job->error);
    return job;
  }
};

Loader::Loader(BatchMaker& maker, const BatchOrder& order, const LoaderConfig& config, LoaderPosition start,
               int64_t end_epoch)
    : state_(std::make_unique<State>(maker, order, config, end_epoch)) {
  if (start.epoch < 0 || start.batch < 0) fail("loader: start at epoch {}, batch {}", start.epoch, start.batch);
  // "After the last batch of epoch e" is the start of epoch e + 1.
  if (start.epoch < end_epoch && start.batch > 0) {
    const int64_t batches = order.batches(start.epoch);
    if (start.batch > batches) {
      bad_input(
          "the run stopped after batch {} of epoch {}, but an epoch of these data has {} batches: data, batch "
          "size or ranks have changed",
          start.batch, start.epoch, batches);
    }
    if (start.batch == batches) start = {start.epoch + 1, 0};
  }
  state_->create = state_->due = start;
  try {
    for (int i = 0; i < config.workers; ++i) {
      state_->threads.emplace_back([s = state_.get()] { s->run_worker(); });
    }
  } catch (...) {  // no thread, or no memory for it
    state_->end_threads();
    throw;
  }
}

Loader::~Loader() { state_->end_threads(); }

std::optional<Batch> Loader::next() {
  State& s = *state_;
  if (s.failure) std::rethrow_exception(s.failure);
  const double begin = monotonic_seconds();
  if (s.started < 0) s.started = begin;
  std::shared_ptr<Job> job;
  try {
    job = s.take();
  } catch (...) {
    s.failure = std::current_exception();
    throw;
  }
  s.figures.waited_seconds += monotonic_seconds() - begin;
  if (!job) return std::nullopt;
  const Batch& batch = job->batch;
  ++s.figures.batches;
  s.figures.samples += batch.size;
  s.due = batch.index + 1 < job->plan->batches() ? LoaderPosition{batch.epoch, batch.index + 1}
                                                 : LoaderPosition{batch.epoch + 1, 0};
  return std::move(job->batch);
}

LoaderPosition Loader::position() const { return state_->due; }
int64_t Loader::batches(int64_t epoch) const { return state_->order.batches(epoch); }

LoaderFigures Loader::figures() const {
  LoaderFigures figures = state_->figures;
  if (state_->started >= 0) figures.total_seconds = monotonic_seconds() - state_->started;
  std::lock_guard lock(state_->mutex);
  figures.skipped = static_cast<int64_t>(state_->broken.size());
  return figures;
}

std::vector<SkippedSample> Loader::skipped() const {
  std::lock_guard lock(state_->mutex);
  std::vector<SkippedSample> out;
  for (const auto& entry : state_->broken) out.push_back(entry.second);
  return out;
}

}  // namespace gfsa::data
