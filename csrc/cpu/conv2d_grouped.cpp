// Grouped convolution with few filters a group (a depth multiplier included): forward and gradient of x, as a
// sum of depthwise convolutions (conv2d_grouped_plan.hpp).
//
// A task is a band of rows of one image by a block of lanes; its partial sums meet in the result. Every
// output adds channel after channel, and the taps of each in order.
#include <algorithm>

#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_grouped_plan.hpp"
#include "cpu/isa.hpp"

namespace konv::cpu {
namespace {

template <class T>
class GroupedRun {
 public:
  explicit GroupedRun(const ConvProblem& p) : GroupedRun(p, forward_axis(p.h), forward_axis(p.w)) {}

  GroupedRun(const ConvProblem& problem, const GatherAxis& h, const GatherAxis& w)
      : kernels_(*kernels<T>().conv2d_depthwise),
        problem_(problem),
        plan_(problem, h, w, kernels_.lanes, sizeof(T)),
        row_pitch_(plan_.w.last_tap() * plan_.results),
        channel_pitch_(plan_.h.last_tap() * row_pitch_),
        rows_(plan_.rows_of_bands(row_pitch_)),
        threads_(threads_for(kMaxThreads, 2.0 * problem.images * plan_.results * plan_.channels * h.reads() *
                                              w.reads() / kFlopsPerNanosecond)) {}

  int64_t packed_bytes() const { return plan_.channels * channel_pitch_ * sizeof(T); }

  // packed[channel of a group][tap row][tap column][filter of all groups]
  void pack(const T* kernel, T* packed) const {
    const int64_t rows = plan_.h.last_tap(), columns = plan_.w.last_tap();
    parallel_for(threads_, plan_.channels * rows, [&](int64_t task, int) {
      const T* from = kernel + task / rows * problem_.kernel_channel + task % rows * problem_.kernel_row;
      T* to = packed + task * row_pitch_;
      for (int64_t s = 0; s < columns; ++s)
        for (int64_t g = 0; g < problem_.groups; ++g)
          for (int64_t f = 0; f < plan_.filters; ++f)
            *to++ = from[s * problem_.kernel_column + g * problem_.kernel_group + f * problem_.kernel_filter];
    });
  }

  int64_t scratch_bytes() const { return threads_ * GroupedScratch<T>::bytes(plan_); }

  static constexpr bool kAdds = false;

  void run(const T* x, const T* packed, const Epilogue<T>& epilogue, T* y, void* scratch) const {
    const int64_t thread_bytes = GroupedScratch<T>::bytes(plan_);
    parallel_for(threads_, problem_.images * plan_.bands * plan_.lane_blocks, [&](int64_t task, int thread) {
      Carver own(static_cast<char*>(scratch) + thread * thread_bytes);
      const GroupedScratch<T> s(plan_, own);
      const int64_t block = task % plan_.lane_blocks, band = task / plan_.lane_blocks % plan_.bands,
                    image = task / plan_.lane_blocks / plan_.bands;
      run_band(x + image * plan_.h.sources * plan_.w.sources * plan_.sources, packed, epilogue,
               y + image * plan_.h.results * plan_.w.results * plan_.results, s, band, block);
    });
  }

 private:
  void run_band(const T* x, const T* packed, const Epilogue<T>& epilogue, T* y, const GroupedScratch<T>& s,
                int64_t band, int64_t block) const {
    const int64_t first = block * plan_.lanes;
    const std::vector<DepthwiseSpan>& rows = rows_[band];
    const AxisRange sources = plan_.sources_of_band(rows);
    fill_slab(plan_, kernels_, x, sources, block, s);
    DepthwiseBlock<T> results{};
    results.source = s.slab - sources.first * plan_.slab_row();
    results.weights = packed + first;
    results.result = y + first;
    results.spans = {rows.data(), plan_.columns.data(), static_cast<int64_t>(rows.size()),
                     static_cast<int64_t>(plan_.columns.size())};
    results.channels = plan_.lanes_of(block);
    results.groups = {1, plan_.channels, plan_.slab_plane(), channel_pitch_};
    results.bias = epilogue.bias ? epilogue.bias + first : nullptr;
    results.relu = epilogue.relu;
    kernels_.forward(results);
  }

  const Conv2dDepthwiseKernels<T>& kernels_;
  ConvProblem problem_;
  GroupedPlan plan_;
  int64_t row_pitch_, channel_pitch_;
  std::vector<std::vector<DepthwiseSpan>> rows_;  // of each band
  int threads_;
};

}  // namespace

template <class T>
ForwardAlgorithm<T> grouped_forward() {
  return kForwardAlgorithm<GroupedRun<T>, T>;
}

template <class T>
Buffer grouped_input_gradient(const char* op, const Conv2dShape& s, const T* grad, const T* kernel,
                              const T* bias) {
  const GroupedRun<T> run(input_gradient_problem(s), input_gradient_axis(s.h), input_gradient_axis(s.w));
  return run_alone(op, run, s.x_dims(), grad, kernel, {bias, nullptr, false});
}

#define KONV_INSTANTIATE(T)                          \
  template ForwardAlgorithm<T> grouped_forward<T>(); \
  template Buffer grouped_input_gradient<T>(const char*, const Conv2dShape&, const T*, const T*, const T*);
KONV_INSTANTIATE(float)
KONV_INSTANTIATE(double)
#undef KONV_INSTANTIATE

}  // namespace konv::cpu
