// Measures the machine; see peak.hpp.
#include "cpu/peak.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "cpu/blocks.hpp"
#include "cpu/isa.hpp"
#include "cpu/result.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kRounds = 1 << 20;  // 2 to 10 ms
constexpr int64_t kGranule = 64;      // elements: tasks share no cache line

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

double measure_bandwidth(int64_t read, int64_t written, double seconds) {
  if (read < 1 || written < 1)
    throw std::invalid_argument("the bytes read and the bytes written must be at least 1");
  const PeakKernels<float>& k = *kernels<float>().peak;
  const int threads = get_num_threads();
  const int64_t tasks = threads * kBlocksOfThread;
  constexpr int64_t kGranuleBytes = kGranule * static_cast<int64_t>(sizeof(float));
  const auto elements_of_task = [&](int64_t bytes) {
    return ceil_div(ceil_div(bytes, tasks), kGranuleBytes) * kGranule;
  };
  const int64_t x_count = elements_of_task(read), y_count = elements_of_task(written);
  const auto bytes_of = [&](int64_t count) {
    return checked_multiply("measure_bandwidth", "a buffer", count * tasks, sizeof(float));
  };
  const int64_t sizes[] = {bytes_of(x_count), bytes_of(y_count)};
  const auto buffers = allocate("measure_bandwidth", sizes);
  float *x = buffers[0].as<float>(), *y = buffers[1].as<float>();
  std::iota(x, x + x_count * tasks, 1.0F);  // zeros are written at twice the speed
  const double took = median_seconds(seconds, [&] {
    parallel_for(threads, tasks, [&](int64_t task, int) {
      k.transfer(x + task * x_count, x_count, y + task * y_count, y_count);
    });
  });
  return static_cast<double>(sizes[0] + sizes[1]) / took;
}

}  // namespace konv::cpu
