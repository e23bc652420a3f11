// Thread count; see threads.hpp.
#include "cpu/threads.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

#include "core/check.hpp"
#include "cpu/cgroup.hpp"

namespace konv::cpu {
namespace {

// Nanoseconds of work that a thread has at least: to wake one takes some microseconds, and more on a busy
// machine.
std::atomic<double> thread_work{10e3};

std::atomic<bool> forked_child{false};

// The count that an environment variable holds, 0 if it is absent or no count.
int64_t count_from(const char* text) {
  if (!text) return 0;
  char* end;
  const long long value = std::strtoll(text, &end, 10);
  // OMP_NUM_THREADS may be a list, one count a nesting level: the first counts.
  return end != text && (*end == '\0' || *end == ',') && value > 0 ? value : 0;
}

int64_t affinity_cores() {
#ifdef __linux__
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) return CPU_COUNT(&mask);
#endif
  return std::thread::hardware_concurrency();
}

// Whole cores of the tightest CPU quota of the process's cgroups; 0 where there is none.
int64_t quota_cores() {
  double cores = 0;
  const auto restrict_to = [&](double quota, double period) {
    if (quota > 0 && period > 0 && (cores == 0 || quota / period < cores)) cores = quota / period;
  };
  for (const Cgroup& group : cgroups_of_process("cpu")) {
    double quota = 0, period = 0;
    if (group.version == 2) {
      std::ifstream limit(group.folder + "cpu.max");
      if (limit >> quota >> period) restrict_to(quota, period);
    } else {
      std::ifstream limit(group.folder + "cpu.cfs_quota_us"), each(group.folder + "cpu.cfs_period_us");
      if (limit >> quota && each >> period) restrict_to(quota, period);
    }
  }
  return std::llround(std::ceil(cores));
}

int default_threads() {
  int64_t threads = count_from(std::getenv("OMP_NUM_THREADS"));
  if (!threads) {
    threads = std::max<int64_t>(1, affinity_cores());
    if (const int64_t quota = quota_cores()) threads = std::min(threads, quota);
  }
  return static_cast<int>(std::min<int64_t>(threads, kMaxThreads));
}

std::atomic<int> thread_count{1};

}  // namespace

void choose_threads_at_import() {
  const char* wanted = std::getenv("KONV_NUM_THREADS");
  const int64_t count = count_from(wanted);
  if (wanted && *wanted && (count == 0 || count > kMaxThreads))
    throw std::runtime_error(concatenate("konv: KONV_NUM_THREADS must be a number in 1..", kMaxThreads,
                                         ", received ", quoted(wanted)));
  thread_count = count ? static_cast<int>(count) : default_threads();
  pthread_atfork(nullptr, nullptr, [] { forked_child = true; });
}

int get_num_threads() { return thread_count; }

void set_num_threads(int64_t threads) {
  if (threads < 1 || threads > kMaxThreads)
    fail("set_num_threads", "the number of threads must lie in 1..", kMaxThreads, ", received ", threads);
  thread_count = static_cast<int>(threads);
}

int threads_for(int64_t tasks, double nanoseconds, int most) {
  if (forked_child) return 1;
  const double useful = std::min(static_cast<double>(tasks), nanoseconds / thread_work);
  return static_cast<int>(std::max(1.0, std::min<double>(most, useful)));
}

Order next_order() {
  static thread_local Order order = Order::kDown;
  order = order == Order::kUp ? Order::kDown : Order::kUp;
  return order;
}

double set_thread_work(double nanoseconds) { return thread_work.exchange(std::max(1e-3, nanoseconds)); }

}  // namespace konv::cpu
