// Measures the machine; see peak.hpp.
#include "cpu/peak.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kRounds = 1 << 20;        // 2 to 10 ms
constexpr int64_t kCopyElements = 1 << 16;  // of a task

// The median time of body(), called over and over.
template <class Body>
double median_seconds(double seconds, const Body& body) {
  using Clock = std::chrono::steady_clock;
  if (!(seconds > 0 && seconds <= 60)) throw std::invalid_argument("seconds must be above 0 and at most 60");
  body();  // wakes the threads, brings the pages
  std::vector<double> times;
  for (double passed = 0; passed < seconds; passed += times.back()) {
    const auto start = Clock::now();
    body();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

}  // namespace

double measure_flops(double seconds) {
  const PeakKernels<float>& k = *kernels<float>().peak;
  const int threads = get_num_threads();
  std::vector<float> sums(static_cast<size_t>(threads));  // kept, or the compiler could leave all out
  const double took = median_seconds(seconds, [&] {
    parallel_for(threads, threads,
                 [&](int64_t task, int) { sums[static_cast<size_t>(task)] = k.multiply_add(kRounds, 0.5F); });
  });
  return static_cast<double>(threads) * static_cast<double>(kRounds * k.operations) / took;
}

double measure_bandwidth(int64_t bytes, double seconds) {
  if (bytes < 1) throw std::invalid_argument("bytes must be at least 1");
  const PeakKernels<float>& k = *kernels<float>().peak;
  constexpr int64_t kTaskBytes = kCopyElements * static_cast<int64_t>(sizeof(float));
  const int64_t tasks = ceil_div(bytes, kTaskBytes);
  const int64_t size = checked_multiply("measure_bandwidth", "the copy", tasks, kTaskBytes);
  const int64_t sizes[] = {size, size};
  const auto buffers = allocate("measure_bandwidth", sizes);
  const float* x = buffers[0].as<float>();
  float* y = buffers[1].as<float>();
  std::memset(buffers[0].data(), 0, static_cast<size_t>(size));  // pages that were never written are one page
  const double took = median_seconds(seconds, [&] {
    parallel_for(get_num_threads(), tasks, [&](int64_t task, int) {
      k.copy(x + task * kCopyElements, kCopyElements, y + task * kCopyElements);
    });
  });
  return 2 * static_cast<double>(size) / took;
}

}  // namespace konv::cpu
