// Thread count; see threads.hpp.
#include "cpu/threads.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

#include "core/check.hpp"

namespace konv::cpu {
namespace {

// Nanoseconds of work that a thread has at least: to wake one takes some microseconds, and more on a busy
// machine.
std::atomic<double> thread_work{10e3};

std::atomic<bool> forked_child{false};

int64_t positive_env(const char* name) {
  const char* text = std::getenv(name);
  if (!text || !*text) return 0;
  char* end;
  const long long value = std::strtoll(text, &end, 10);
  // OMP_NUM_THREADS may be a list, one count a nesting level: the first counts.
  return (*end == '\0' || *end == ',') && value > 0 ? value : 0;
}

int64_t affinity_cores() {
#ifdef __linux__
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) return CPU_COUNT(&mask);
#endif
  return std::thread::hardware_concurrency();
}

// Whole cores of the cgroup's CPU quota (version 2, then 1); 0 where there is none.
int64_t quota_cores() {
  double quota = 0, period = 0;
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  if (!(v2 >> quota >> period)) {
    std::ifstream quota_v1("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
        period_v1("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (!(quota_v1 >> quota && period_v1 >> period)) return 0;
  }
  return quota > 0 && period > 0 ? std::max<int64_t>(1, std::llround(std::ceil(quota / period))) : 0;
}

int default_threads() {
  int64_t threads = positive_env("KONV_NUM_THREADS");
  if (!threads) threads = positive_env("OMP_NUM_THREADS");
  if (!threads) {
    threads = std::max<int64_t>(1, affinity_cores());
    if (const int64_t quota = quota_cores()) threads = std::min(threads, quota);
  }
  return static_cast<int>(std::min<int64_t>(threads, kMaxThreads));
}

std::atomic<int>& thread_count() {
  static std::atomic<int> count{[] {
    pthread_atfork(nullptr, nullptr, [] { forked_child = true; });
    return default_threads();
  }()};
  return count;
}

}  // namespace

int get_num_threads() { return thread_count(); }

void set_num_threads(int64_t threads) {
  if (threads < 1 || threads > kMaxThreads)
    fail("set_num_threads", "the number of threads must lie in 1..", kMaxThreads, ", received ", threads);
  thread_count() = static_cast<int>(threads);
}

int threads_for(int64_t tasks, double nanoseconds) {
  if (forked_child) return 1;
  const double most = std::min<double>(get_num_threads(), static_cast<double>(tasks));
  return static_cast<int>(std::max(1.0, std::min(most, nanoseconds / thread_work)));
}

double set_thread_work(double nanoseconds) { return thread_work.exchange(std::max(1e-3, nanoseconds)); }

}  // namespace konv::cpu
