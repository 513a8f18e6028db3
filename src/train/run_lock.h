// run_lock.h -- one process at a time works on a run directory: `lock` in it, held by flock for as long as the object
// lives. The operating system lets go of it whenever the process ends, so a lock that nobody holds is what a killed run
// left behind; it is taken over with one line that says so.
//
// The file is {"pid":4711,"host":"node3","started":"2026-11-24T21:27:42Z"}, for the message that the second process
// ends with. It is not written through Env: a lock is a descriptor, not a content.
#pragma once

#include <string>
#include <vector>

namespace gfsa::train {

class RunLock {
 public:
  using Flock = int (*)(int fd, int operation);

  // Makes run_dir if it is not there. Bad input that names the holder if another process has the run, or if the folder
  // cannot be written. Call once it is clear that the folder may be used: at destruction the file goes, and so do the
  // folders that were made for it, where they are still empty.
  //
  // On file systems without flock (ENOLCK, EOPNOTSUPP, ENOSYS) a warning, and a judgement: the file's process holds the
  // run if it is alive on this host or said to be on another. `flock` is a parameter for tests.
  explicit RunLock(const std::string& run_dir, Flock flock = nullptr);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  const std::string& path() const { return path_; }

  // "process 4711 on node3, since 2026-11-24T21:27:42Z" if the run's lock names a process that is alive on this host,
  // else "". Looks, and locks nothing.
  static std::string live_holder(const std::string& run_dir);

 private:
  void acquire(Flock flock);
  void make_folders(const std::string& run_dir);
  void release();

  std::string path_;
  std::vector<std::string> made_;  // folders, outermost first
  int fd_ = -1;
};

}  // namespace gfsa::train
