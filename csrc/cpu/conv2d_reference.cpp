// The last row of the algorithm table: plain loops with float64 sums, for any shape. For comparison and for
// study.
#include <algorithm>

#include "cpu/conv2d_algorithms.hpp"
#include "cpu/result.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

// Offsets of the layouts in core/conv2d_shape.hpp.
struct Offsets {
  const Conv2dShape& s;
  int64_t x(int64_t n, int64_t h, int64_t w, int64_t c) const {
    return ((n * s.h.size + h) * s.w.size + w) * s.C + c;
  }
  int64_t y(int64_t n, int64_t p, int64_t q, int64_t k) const {
    return ((n * s.h.out + p) * s.w.out + q) * s.K + k;
  }
  int64_t kernel(int64_t r, int64_t t, int64_t c, int64_t k) const {
    return ((r * s.w.window + t) * s.group_channels() + c) * s.K + k;
  }
};

// The output whose tap `tap` reads input `position`, or -1.
int64_t output_at(const WindowAxis& axis, int64_t position, int64_t tap) {
  const int64_t reach = position + axis.before - tap * axis.dilation;
  return reach >= 0 && reach % axis.stride == 0 && reach / axis.stride < axis.out ? reach / axis.stride : -1;
}

template <class T>
Buffer forward(const char* op, const Conv2dShape& s, const T* x, const T* kernel,
               const Epilogue<T>& epilogue) {
  const Offsets at{s};
  Buffer result = allocate(op, checked_bytes(op, "the result", s.y_dims(), sizeof(T)));
  T* y = result.as<T>();
  const int64_t rows = s.N * s.h.out;
  parallel_for(threads_for(rows, s.flops()), rows, [&](int64_t row, int) {
    const int64_t n = row / s.h.out, p = row % s.h.out;
    for (int64_t q = 0; q < s.w.out; ++q)
      for (int64_t k = 0; k < s.K; ++k) {
        const int64_t first_channel = k / s.group_filters() * s.group_channels();
        double sum = 0;
        for (int64_t r = s.h.first_tap(p); r < s.h.last_tap(p); ++r)
          for (int64_t t = s.w.first_tap(q); t < s.w.last_tap(q); ++t)
            for (int64_t c = 0; c < s.group_channels(); ++c)
              sum +=
                  static_cast<double>(x[at.x(n, s.h.position(p, r), s.w.position(q, t), first_channel + c)]) *
                  kernel[at.kernel(r, t, c, k)];
        if (epilogue.bias) sum += epilogue.bias[k];
        y[at.y(n, p, q, k)] = static_cast<T>(epilogue.relu && sum <= 0 ? 0.0 : sum);
      }
  });
  return result;
}

template <class T>
Buffer copy_kernel(const char* op, const Conv2dShape& s, const T* kernel) {
  Buffer copy = allocate(op, checked_bytes(op, "the kernel", s.kernel_dims(), sizeof(T)));
  std::copy(kernel, kernel + s.kernel_size(), copy.as<T>());
  return copy;
}

}  // namespace

template <class T>
ForwardAlgorithm<T> reference_forward() {
  return {forward<T>, copy_kernel<T>, forward<T>, false};
}

template <class T>
Buffer reference_input_gradient(const char* op, const Conv2dShape& s, const T* grad, const T* kernel,
                                const T* bias) {
  const Offsets at{s};
  Buffer result = allocate(op, checked_bytes(op, "the result", s.x_dims(), sizeof(T)));
  T* grad_x = result.as<T>();
  const int64_t rows = s.N * s.h.size;
  parallel_for(threads_for(rows, s.flops()), rows, [&](int64_t row, int) {
    const int64_t n = row / s.h.size, h = row % s.h.size;
    for (int64_t w = 0; w < s.w.size; ++w)
      for (int64_t c = 0; c < s.C; ++c) {
        const int64_t group = c / s.group_channels(), first_filter = group * s.group_filters();
        double sum = 0;
        for (int64_t r = 0; r < s.h.window; ++r) {
          const int64_t p = output_at(s.h, h, r);
          for (int64_t t = 0; p >= 0 && t < s.w.window; ++t) {
            const int64_t q = output_at(s.w, w, t);
            for (int64_t k = first_filter; q >= 0 && k < first_filter + s.group_filters(); ++k)
              sum += static_cast<double>(grad[at.y(n, p, q, k)]) *
                     kernel[at.kernel(r, t, c - group * s.group_channels(), k)];
          }
        }
        grad_x[at.x(n, h, w, c)] = static_cast<T>(bias ? sum + bias[c] : sum);
      }
  });
  return result;
}

template <class T>
Buffer reference_kernel_gradient(const char* op, const Conv2dShape& s, const T* x, const T* grad) {
  const Offsets at{s};
  Buffer result = allocate(op, checked_bytes(op, "the result", s.kernel_dims(), sizeof(T)));
  T* grad_kernel = result.as<T>();
  const int64_t rows = s.h.window * s.w.window * s.group_channels();
  parallel_for(threads_for(rows, s.flops()), rows, [&](int64_t row, int) {
    const int64_t c = row % s.group_channels(), t = row / s.group_channels() % s.w.window,
                  r = row / s.group_channels() / s.w.window;
    for (int64_t k = 0; k < s.K; ++k) {
      const int64_t channel = k / s.group_filters() * s.group_channels() + c;
      double sum = 0;
      for (int64_t n = 0; n < s.N; ++n)
        for (int64_t p = 0; p < s.h.out; ++p) {
          if (r < s.h.first_tap(p) || r >= s.h.last_tap(p)) continue;
          for (int64_t q = 0; q < s.w.out; ++q) {
            if (t < s.w.first_tap(q) || t >= s.w.last_tap(q)) continue;
            sum += static_cast<double>(x[at.x(n, s.h.position(p, r), s.w.position(q, t), channel)]) *
                   grad[at.y(n, p, q, k)];
          }
        }
      grad_kernel[at.kernel(r, t, c, k)] = static_cast<T>(sum);
    }
  });
  return result;
}

#define KONV_INSTANTIATE(T)                                                                        \
  template ForwardAlgorithm<T> reference_forward<T>();                                             \
  template Buffer reference_input_gradient<T>(const char*, const Conv2dShape&, const T*, const T*, \
                                              const T*);                                           \
  template Buffer reference_kernel_gradient<T>(const char*, const Conv2dShape&, const T*, const T*);
KONV_INSTANTIATE(float)
KONV_INSTANTIATE(double)
#undef KONV_INSTANTIATE

}  // namespace konv::cpu
