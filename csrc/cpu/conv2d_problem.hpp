// One or more tap problems (conv2d_direct_plan.hpp) that together make a forward pass or a gradient of x, and
// how an algorithm runs them: it provides a class Run with
//   explicit Run(const ConvProblem&);
//   int64_t packed_bytes() const;                       of the kernel in the algorithm's own form, which
//   void pack(const T* kernel, T* packed) const;        depends on neither x nor the number of images
//   int64_t scratch_bytes() const;
//   static constexpr bool kAdds;                        whether an epilogue may have an addend
//   void run(const T* x, const T* packed, const Epilogue<T>&, T* y, void* scratch) const;
// and, where packing the whole kernel first may not pay,
//   bool packs_late() const;                            if so, then in place of pack() and run()
//   void run_late(const T* x, const T* kernel, const Epilogue<T>&, T* y, void* scratch) const;
#pragma once

#include <algorithm>
#include <type_traits>

#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_direct_plan.hpp"
#include "cpu/result.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {

// Strides in elements; sizes of one group.
struct ConvProblem {
  TapAxis h, w;
  int64_t images, groups, channels, filters;
  int64_t x_image, x_row, x_column;
  int64_t y_image, y_row, y_column;
  int64_t kernel_row, kernel_column, kernel_channel, kernel_filter, kernel_group;
  int most_threads;  // as it was when the call began: a run made again must find the scratch that it sized

  double nanoseconds() const {
    return 2.0 * images * h.out * w.out * groups * filters * channels *
           std::max<int64_t>(1, h.taps * w.taps) / kFlopsPerNanosecond;
  }
};

ConvProblem forward_problem(const Conv2dShape& shape);

// The same with channels and filters exchanged, for algorithms whose axes gather (conv2d_depthwise_plan.hpp).
ConvProblem input_gradient_problem(const Conv2dShape& shape);

// The phases of the gradient of x that any tap reaches: x and y, channels and filters exchange their roles.
std::vector<ConvProblem> input_gradient_problems(const Conv2dShape& shape);

// Fills the pixels of grad_x that none of the problems computes with the bias or zero.
template <class T>
void fill_unreached(const Conv2dShape& shape, const std::vector<ConvProblem>& problems, const T* bias,
                    T* grad_x);

template <class Run, class = void>
constexpr bool kMayPackLate = false;
template <class Run>
constexpr bool kMayPackLate<Run, std::void_t<decltype(&Run::packs_late)>> = true;

template <class Run>
bool packs_late(const Run& run) {
  if constexpr (kMayPackLate<Run>)
    return run.packs_late();
  else
    return false;
}

template <class Run>
int64_t packed_bytes_for_one_call(const Run& run) {
  return packs_late(run) ? 0 : run.packed_bytes();
}

// packed: memory for packed_bytes_for_one_call.
template <class Run, class T>
void pack_and_run(const Run& run, const T* x, const T* kernel, const Epilogue<T>& epilogue, T* y,
                  Buffer& packed, Buffer& scratch) {
  if constexpr (kMayPackLate<Run>) {
    if (run.packs_late()) return run.run_late(x, kernel, epilogue, y, scratch.data());
  }
  run.pack(kernel, packed.template as<T>());
  run.run(x, packed.template as<T>(), epilogue, y, scratch.data());
}

// A call whose result, of the dimensions `y`, one run makes.
template <class Run, class T>
Buffer run_alone(const char* op, const Run& run, const std::array<int64_t, 4>& y, const T* x, const T* kernel,
                 const Epilogue<T>& epilogue) {
  const int64_t bytes = checked_bytes(op, "the result", y, sizeof(T));
  auto [result, packed, scratch] = allocate(op, {bytes, packed_bytes_for_one_call(run), run.scratch_bytes()});
  if (bytes > 0) pack_and_run(run, x, kernel, epilogue, result.template as<T>(), packed, scratch);
  return std::move(result);
}

template <class Run, class T>
Buffer run_forward(const char* op, const Conv2dShape& shape, const T* x, const T* kernel,
                   const Epilogue<T>& epilogue) {
  return run_alone(op, Run(forward_problem(shape)), shape.y_dims(), x, kernel, epilogue);
}

template <class Run, class T>
Buffer pack_forward(const char* op, const Conv2dShape& shape, const T* kernel) {
  const Run run(forward_problem(shape));
  Buffer packed = allocate(op, run.packed_bytes());
  run.pack(kernel, packed.template as<T>());
  return packed;
}

template <class Run, class T>
Buffer run_packed_forward(const char* op, const Conv2dShape& shape, const T* x, const T* packed,
                          const Epilogue<T>& epilogue) {
  const Run run(forward_problem(shape));
  const int64_t bytes = checked_bytes(op, "the result", shape.y_dims(), sizeof(T));
  auto [result, scratch] = allocate(op, {bytes, run.scratch_bytes()});
  if (bytes > 0) run.run(x, packed, epilogue, result.template as<T>(), scratch.data());
  return std::move(result);
}

template <class Run, class T>
constexpr ForwardAlgorithm<T> kForwardAlgorithm = {run_forward<Run, T>, pack_forward<Run, T>,
                                                   run_packed_forward<Run, T>, Run::kAdds};

template <class Run, class T>
Buffer run_input_gradient(const char* op, const Conv2dShape& shape, const T* grad, const T* kernel,
                          const T* bias) {
  const int64_t bytes = checked_bytes(op, "the result", shape.x_dims(), sizeof(T));
  if (bytes == 0) return allocate(op, 0);
  // One run at a time: a stride may make as many as the kernel has taps.
  const std::vector<ConvProblem> problems = input_gradient_problems(shape);
  int64_t packed_bytes = 0, scratch_bytes = 0;
  for (const ConvProblem& problem : problems) {
    const Run run(problem);
    packed_bytes = std::max(packed_bytes, packed_bytes_for_one_call(run));
    scratch_bytes = std::max(scratch_bytes, run.scratch_bytes());
  }
  auto [result, packed, scratch] = allocate(op, {bytes, packed_bytes, scratch_bytes});
  T* grad_x = result.template as<T>();
  fill_unreached(shape, problems, bias, grad_x);
  for (const ConvProblem& problem : problems)
    pack_and_run(Run(problem), grad, kernel, {bias, nullptr, false}, grad_x, packed, scratch);
  return std::move(result);
}

}  // namespace konv::cpu
