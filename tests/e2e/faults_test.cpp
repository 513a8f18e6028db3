// File calls that fail, each in turn, under a run from its start and under one that goes on: there is always a loadable
// checkpoint once one was announced, never a silent success, and the message names the file.
#include <algorithm>
#include <iostream>
#include <sstream>

#include "e2e/disturbed_run.h"

namespace gfsa {
namespace {

struct Call {
  std::string kind, number, action, path;
};

class FaultsTest : public DisturbedRunTest {
 protected:
  FaultsTest()
      : DisturbedRunTest({"train.epochs=1", "data.train_size=48", "data.val_size=8", "checkpoint.every_steps=1",
                          "eval.every_steps=2"}) {}

  // Runs the program under the fault ("" counts only); then the faults that were met, and the number of calls by kind.
  test::ProcessResult run_under(const std::string& fault, const std::vector<std::string>& arguments,
                                const std::string& run) {
    auto o = options();
    const std::string log = folder_ / "faults.log";
    Env::real().remove_all(log);
    const std::string folder = std::filesystem::canonical(folder_.path()).string() + "/" + run;
    o.environment.insert(o.environment.end(),
                         {{"LD_PRELOAD", test::preload(std::string(GFSA_BINARY_DIR) + "/tests/libfaulty_files.so")},
                          {"GFSA_FAULT_UNDER", folder},
                          {"GFSA_FAULT_LOG", log},
                          {"GFSA_FAULT", fault}});
    auto result = test::run_process(command(arguments), o);
    met_.clear();
    counts_.clear();
    std::istringstream lines(Env::real().read(log));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      Call call;
      words >> call.kind >> call.number >> call.action >> call.path;
      if (call.number == "calls") {
        counts_.emplace_back(call.kind, std::stoll(call.action));
      } else {
        met_.push_back(call);
      }
    }
    return result;
  }

  // KIND:K:ACTION for every K of a kind that counts_ has, or K from on.
  std::vector<std::string> every(const std::string& kind, const std::string& action, const char* from_on = "") const {
    std::vector<std::string> out;
    for (const auto& [name, count] : counts_) {
      for (int64_t k = 1; name == kind && k <= count; ++k)
        out.push_back(fmt::format("{}:{}{}:{}", kind, k, from_on, action));
    }
    return out;
  }
  // All in a soak, else `count` of them at even distances.
  static std::vector<std::string> sample(const std::vector<std::string>& all, int64_t count) {
    const auto n = static_cast<int64_t>(all.size()), wanted = std::min(n, soak(count, n));
    std::vector<std::string> out;
    for (int64_t i = 0; i < wanted; ++i) out.push_back(all[static_cast<size_t>((2 * i + 1) * n / (2 * wanted))]);
    std::cout << "count: " << wanted << " faults\n";
    return out;
  }

  // A message may call a file by its final name, and one that was to be removed by the folder that was.
  static bool names(const std::string& message, const Call& call) {
    std::string path = call.path;
    if (path.ends_with(".tmp")) path.resize(path.size() - 4);
    const std::filesystem::path file(path);
    std::string name = file.filename().string();
    const auto has = [&](const std::string& text) { return message.find(text) != std::string::npos; };
    for (const char* prefix : {".writing-", ".removing-"}) {
      if (name.starts_with(prefix)) name = name.substr(std::string(prefix).size());
    }
    return has(name) || (call.kind == "unlink" && has(file.parent_path().filename().string() + ": cannot be removed"));
  }
  // Faults that may pass without a word: they lose nothing. A short write is gone on with, as is a short read; of the
  // rest of a file that was closed, read or removed, nothing is missing.
  static bool may_be_silent(const Call& call) {
    return call.action == "short" || call.kind == "close" || call.kind == "unlink" || call.kind == "list" ||
           call.kind == "read";
  }

  // Runs `arguments` on `run` under the fault and judges everything.
  void judge(const std::string& fault, const std::vector<std::string>& arguments, const std::string& run) {
    const auto result = run_under(fault, arguments, run);
    const auto met = met_;
    const std::string what =
        fault + (met.empty() ? " (not met)" : fmt::format(" ({} {})", met[0].action, met[0].path)) + ":\n" + result.err;
    ASSERT_THAT(result.exit_code, testing::AnyOf(0, 1, 2)) << what;
    const auto steps = announced(result.err);
    if (!steps.empty()) {
      ASSERT_GE(newest_step(run), steps.back()) << what;
    }
    if (result.exit_code == 0) {
      ASSERT_EQ(newest_step(run), 3) << what;
      expect_undisturbed_end(run, what);
      // What could not be removed stays; the next process on the run removes it.
      const bool hindered = std::any_of(met.begin(), met.end(), [](const Call& c) {
        return c.kind == "unlink" || c.kind == "list" || c.kind == "open" || c.kind == "rename";
      });
      if (!hindered) expect_tidy(run, what);
      const bool loud = std::any_of(met.begin(), met.end(), [](const Call& c) { return !may_be_silent(c); });
      if (loud) {
        EXPECT_TRUE(std::any_of(met.begin(), met.end(), [&](const Call& c) { return names(result.err, c); }))
            << "no word of it: " << what;
      }
      return;
    }
    EXPECT_TRUE(std::any_of(met.begin(), met.end(), [&](const Call& c) { return names(result.err, c); }))
        << "the file is not named: " << what;
    expect_resumes(run, what);
  }

  void judge_all(const std::vector<std::string>& faults) {
    for (const auto& fault : faults) {
      judge(fault, start("run"), "run");
      Env::real().remove_all(folder_ / "run");
      if (HasFailure()) return;
    }
  }
  // Counts the calls of an undisturbed run.
  void count_calls() {
    ASSERT_EQ(run_under("", start("counted"), "counted").exit_code, 0);
    ASSERT_EQ(counts_.size(), 11u);
    EXPECT_TRUE(met_.empty());
    for (const auto& [kind, count] : counts_) std::cout << kind << " " << count << "  ";
    std::cout << "\n";
  }
  static std::vector<std::string> all_of(const std::vector<std::vector<std::string>>& lists) {
    std::vector<std::string> out;
    for (const auto& list : lists) out.insert(out.end(), list.begin(), list.end());
    return out;
  }

  std::vector<Call> met_;
  std::vector<std::pair<std::string, int64_t>> counts_;
};

TEST_F(FaultsTest, WritesOnce) {
  count_calls();
  judge_all(sample(all_of({every("write", "ENOSPC"), every("write", "short"), every("write", "EIO")}), 12));
}

TEST_F(FaultsTest, TheDiskStaysFull) {
  count_calls();
  judge_all(sample(all_of({every("write", "full"), every("open", "ENOSPC", "+")}), 12));
}

TEST_F(FaultsTest, SyncsAndRenames) {
  count_calls();
  judge_all(sample(all_of({every("fsync", "EIO"), every("rename", "EIO"), every("rename", "ENOSPC", "+"),
                           every("fsync", "EIO", "+")}),
                   12));
}

TEST_F(FaultsTest, EverythingElse) {
  count_calls();
  judge_all(sample(all_of({every("open", "EACCES"), every("open", "EMFILE"), every("mkdir", "ENOSPC"),
                           every("close", "EIO"), every("unlink", "EIO"), every("list", "EACCES"), every("read", "EIO"),
                           every("read", "short"), every("truncate", "EIO"), every("flock", "ENOLCK")}),
                   12));
}

// A line that is torn, and cannot be mended at once.
TEST_F(FaultsTest, TornLinesAreMendedLater) {
  count_calls();
  std::vector<std::string> torn;
  for (const auto& fault : every("write", "short")) torn.push_back(fault + ",truncate:1+:EIO");
  judge_all(sample(torn, 4));
}

TEST_F(FaultsTest, WhileARunGoesOn) {
  // As if it had been killed before its last checkpoint.
  std::filesystem::copy(folder_ / "undisturbed", folder_ / "half", std::filesystem::copy_options::recursive);
  Env::real().remove_all(folder_ / "half/checkpoints/step-00000003");
  const auto again = [&](const std::string& run) {
    Env::real().remove_all(folder_ / run);
    std::filesystem::copy(folder_ / "half", folder_ / run, std::filesystem::copy_options::recursive);
    return resume(run);
  };
  ASSERT_EQ(run_under("", again("counted"), "counted").exit_code, 0);
  expect_undisturbed_end("counted", "no fault");
  const auto faults =
      sample(all_of({every("open", "EACCES"), every("read", "EIO"), every("read", "short"), every("write", "ENOSPC"),
                     every("fsync", "EIO"), every("rename", "EIO"), every("unlink", "EIO"), every("close", "EIO"),
                     every("list", "EACCES"), every("truncate", "EIO"), every("mkdir", "EIO"), every("flock", "EIO")}),
             12);
  for (const auto& fault : faults) {
    judge(fault, again("run"), "run");
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace gfsa
