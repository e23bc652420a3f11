// How many threads a call uses, and the one parallel loop of Konv.
//
// The count starts from KONV_NUM_THREADS, else OMP_NUM_THREADS, else the cores that the affinity mask and the
// cgroup quota leave. Regions take it as a num_threads clause, never through a global OpenMP setting.
// A forked child runs serially: its parent's OpenMP threads do not exist there.
#pragma once

#include <omp.h>

#include <cstdint>

namespace konv::cpu {

constexpr int kMaxThreads = 256;

// Reads the environment and prepares for forks; throws std::runtime_error for a KONV_NUM_THREADS that is no
// count.
void choose_threads_at_import();

int get_num_threads();
void set_num_threads(int64_t threads);  // std::invalid_argument outside [1, kMaxThreads]

// Multiply-adds count two; about what one core does in float32 on AVX2. The bandwidth-bound count one element
// as one nanosecond.
constexpr double kFlopsPerNanosecond = 64;

// Threads for a loop over `tasks` tasks that takes one core about `nanoseconds`: small work stays serial.
int threads_for(int64_t tasks, double nanoseconds, int most = get_num_threads());

// For tests, which run the parallel code on small shapes: sets the work that a thread has at least, returns
// the old.
double set_thread_work(double nanoseconds);

// Calls body(task, thread) for every task in [0, tasks), thread in [0, threads). The body must not throw.
// Tasks are handed out one at a time: no result may depend on which thread runs a task.
template <class Body>
void parallel_for(int threads, int64_t tasks, const Body& body) {
  if (threads <= 1 || tasks <= 1) {
    for (int64_t task = 0; task < tasks; ++task) body(task, 0);
    return;
  }
  const int used = tasks < threads ? static_cast<int>(tasks) : threads;
#pragma omp parallel for num_threads(used) schedule(dynamic, 1)
  for (int64_t task = 0; task < tasks; ++task) body(task, omp_get_thread_num());
}

// The same, but a thread begins with tasks of its own, neighbours that are the same in each call of as many,
// and then takes what is left of the others': what one pass left in a core's cache, the next finds there. Own
// tasks go up, or down: a pass down reads first what a pass up read last.
//
// Each owner's last task is left to it: the loop ends with its arrival anyway, and what others took away
// would lie in their caches the next time, where it takes longer to fetch, so that they take more and more.
enum class Order { kUp, kDown };

// Up and down in turns, for passes of which one often reads what the one before has touched.
Order next_order();

template <class Body>
void parallel_for_own(int threads, int64_t tasks, Order order, const Body& body) {
  const auto ordered = [&](int64_t first, int64_t end, int64_t i) {
    return order == Order::kUp ? first + i : end - 1 - i;
  };
  if (threads <= 1 || tasks <= 1) {
    for (int64_t i = 0; i < tasks; ++i) body(ordered(0, tasks, i), 0);
    return;
  }
  const int used = tasks < threads ? static_cast<int>(tasks) : threads;
  constexpr int kApart = 8;  // no two counts in a cache line
  int64_t taken[kMaxThreads * kApart];
  for (int owner = 0; owner < used; ++owner) taken[owner * kApart] = 0;
#pragma omp parallel num_threads(used)
  {
    const int thread = omp_get_thread_num(), present = omp_get_num_threads();  // OpenMP may give fewer
    for (int i = 0; i < used; ++i) {
      const int owner = (thread + i) % used;
      const int64_t first = tasks * owner / used, end = tasks * (owner + 1) / used;
      const bool leaves_last = i > 0 && owner < present;
      for (;;) {
        int64_t own;
        if (leaves_last) {
#pragma omp atomic read
          own = taken[owner * kApart];
          if (own + 1 >= end - first) break;
        }
#pragma omp atomic capture
        own = taken[owner * kApart]++;
        if (own >= end - first) break;
        body(ordered(first, end, own), thread);
      }
    }
  }
}

}  // namespace konv::cpu
