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
    const int64_t begin = band * plan_.band, end = std::min(plan_.h.results, begin + plan_.band);
    const int64_t first = block * plan_.lanes, y_row = plan_.w.results * plan_.results;
    const GroupedPlan::Rows rows = plan_.rows_of(begin, end);
    fill_slab(plan_, kernels_, x, rows, block, s);
    for (int64_t i = begin; i < end; ++i) {
      const LiveTaps taps = plan_.h.taps_of(i);
      DepthwiseRow<T> row{};
      row.source = s.slab + std::max<int64_t>(0, taps.source - rows.first) * plan_.slab_row();
      row.tap_rows = taps.taps;
      row.row_step = taps.source_step * plan_.slab_row();
      row.weights = packed + taps.tap * row_pitch_ + first;
      row.weights_row_step = taps.tap_step * row_pitch_;
      row.groups = {1, plan_.channels, plan_.slab_plane(), channel_pitch_};
      row.runs = plan_.runs.data();
      row.run_count = plan_.runs.size();
      row.channels = plan_.lanes_of(block);
      row.result = y + i * y_row + first;
      row.bias = epilogue.bias ? epilogue.bias + first : nullptr;
      row.relu = epilogue.relu;
      kernels_.forward(row);
    }
  }

  const Conv2dDepthwiseKernels<T>& kernels_;
  ConvProblem problem_;
  GroupedPlan plan_;
  int64_t row_pitch_, channel_pitch_;
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
