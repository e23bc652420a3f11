// The ordered tables of convolution algorithms, one a pass, preferred first, the reference last; see
// conv2d.hpp.
#include "cpu/conv2d_algorithms.hpp"

#include <cstdlib>

#include "core/arithmetic.hpp"
#include "cpu/conv2d.hpp"
#include "cpu/conv2d_grouped_plan.hpp"
#include "cpu/conv2d_space_to_depth.hpp"
#include "cpu/conv2d_winograd_plan.hpp"
#include "cpu/elementwise.hpp"
#include "cpu/isa.hpp"

namespace konv::cpu {
namespace {

bool any_shape(const Conv2dShape&) { return true; }

// With few channels and filters a group, the outer-product tile would waste most lanes. With 16 it wouldn't,
// nor would Winograd, but they go through the image group by group: depthwise is 1.1 to 1.8 times as fast
// (AVX-512, 2 threads). Not so the gradient of the kernel, nor any pass with 32: half as fast.
template <class T, int64_t Most>
bool few_filters_a_group(const Conv2dShape& shape) {
  return shape.group_filters() <= Most && suits_depthwise(shape, kernels<T>().conv2d_depthwise->lanes);
}

// There the gradient of x would fill the lanes of the tile with few channels.
bool few_channels(const Conv2dShape& shape) { return shape.group_channels() < 16; }

// Winograd's transforms are for float32 alone: they would lose some of what float64 is chosen for.
template <class T>
bool winograd_can_do(const Conv2dShape& s) {
  const auto slides_by_one = [](const WindowAxis& axis) { return axis.stride == 1 && axis.dilation == 1; };
  return std::is_same_v<T, float> && s.h.window == s.w.window && kLeastWinogradTaps <= s.h.window &&
         s.h.window <= kMostWinogradTaps && slides_by_one(s.h) && slides_by_one(s.w);
}

// Measured on AVX-512, against direct: 1.5 times as fast with 16 channels and 16 filters, 2.5 times with 16
// and 32; with fewer channels the lanes of the transforms stay empty. A tile should save half of the products
// at least (ragged ones compute outputs that nobody wants), and the transformed kernel, four times as large,
// must be read for more than one tile or stay in L2: 7x7 with 512 channels, four tiles, wins even for one
// image.
bool winograd_pays(const Conv2dShape& shape, const TapAxis& h, const TapAxis& w) {
  const int64_t channels = shape.group_channels(), filters = shape.group_filters();
  const WinogradPlan plan = make_winograd_plan(h, w);
  const double tiles = static_cast<double>(plan.h.tiles) * static_cast<double>(plan.w.tiles);
  const double outputs = static_cast<double>(shape.h.out) * static_cast<double>(shape.w.out);
  return channels >= 16 && filters >= 16 && (tiles >= 4 || channels * filters <= 1 << 14) &&
         outputs * shape.h.window * shape.w.window >= 2 * kWinogradPoints * tiles;
}

bool winograd_forward_pays(const Conv2dShape& shape) {
  return winograd_pays(shape, forward_taps(shape.h), forward_taps(shape.w));
}

bool winograd_input_gradient_pays(const Conv2dShape& shape) {
  return winograd_pays(shape, input_gradient_taps(shape.h, 0), input_gradient_taps(shape.w, 0));
}

template <class T>
bool winograd_strided_can_do(const Conv2dShape& s) {
  const auto slides_by_two = [](const WindowAxis& axis) {
    return axis.window == 3 && axis.stride == 2 && axis.dilation == 1;
  };
  return std::is_same_v<T, float> && slides_by_two(s.h) && slides_by_two(s.w);
}

// Measured on AVX-512, 8 images, against direct: 56x56 with 128 channels 1.4 times as fast, and its gradient
// of x 1.5 times; with 32 channels as fast and 1.1 times, with 16 slower. On 28x28 with 256 channels 1.2 and
// 1.3 times; on 14x14, four tiles, one image takes longer even then. Four tiles along an axis save a quarter
// of the products at least, however ragged the last is.
bool winograd_strided_pays(const Conv2dShape& s) {
  return s.group_channels() >= 32 && s.group_filters() >= 32 && s.h.out > 12 && s.w.out > 12;
}

template <class T>
bool space_to_depth_can_do(const Conv2dShape& s) {
  const int64_t taps = block_taps(s.h);
  return std::is_same_v<T, float> && s.groups == 1 && s.h.dilation == 1 && s.w.dilation == 1 &&
         (s.h.stride > 1 || s.w.stride > 1) && taps == block_taps(s.w) && kLeastWinogradTaps <= taps &&
         taps <= kMostWinogradTaps;
}

// Measured on AVX-512 and AVX2, 8 images, against direct. The products that an output saves must pay for the
// transforms of its sums: 5x5 with stride 2 saves 16 a channel and ties with 3 channels (48), with 6 (96) it
// is 1.1 to 1.2 times as fast, with 8 1.4 times; 7x7 with stride 2 and 3 channels (99) 1.2 to 1.4 times with
// 64 filters, and ties with 32; 11x11 with stride 4 (255) 1.5 to 1.9 times, with 16 filters 0.8. Four tiles
// an image are half as fast, 16 tie at the worst.
bool space_to_depth_saves(const Conv2dShape& s) {
  const int64_t outputs = 7 - block_taps(s.h);
  const double channels = static_cast<double>(s.h.stride * s.w.stride * s.C),
               products = kWinogradPoints / static_cast<double>(outputs * outputs) * channels;
  return channels >= 12 && s.K >= 32 && static_cast<double>(s.h.window * s.w.window * s.C) >= products + 96;
}

bool space_to_depth_has_tiles(const Conv2dShape& s) {
  const int64_t outputs = 7 - block_taps(s.h);
  return ceil_div(s.h.out, outputs) >= 4 && ceil_div(s.w.out, outputs) >= 4;
}

// Forward, a large kernel is written and read transformed: 9 MiB (128 channels and filters, 5x5 with stride
// 2) still gain 1.2 to 1.4, 36 MiB lose on AVX2. Other passes gain there too.
bool space_to_depth_forward_pays(const Conv2dShape& s) {
  return space_to_depth_saves(s) && space_to_depth_has_tiles(s) &&
         s.h.stride * s.w.stride * s.C * s.K <= 1 << 16;
}

bool space_to_depth_input_gradient_pays(const Conv2dShape& s) {
  return space_to_depth_saves(s) && space_to_depth_has_tiles(s);
}

// Against the direct algorithm, 2 threads, AVX-512: 1.2 to 3.9 times as fast while tiles are full, 0.5 to 1.4
// with fewer than 16 channels or filters, 0.8 to 1.2 where most of a tile lies behind the image (5x5 outputs,
// two tiles of 4 each way). With few tiles the transform of the C x K sums costs what their products save.
bool winograd_kernel_gradient_pays(const Conv2dShape& shape) {
  const int64_t outputs = 7 - shape.h.window;
  const int64_t tiles = shape.N * ceil_div(shape.h.out, outputs) * ceil_div(shape.w.out, outputs);
  return shape.groups == 1 && shape.C >= 16 && shape.K >= 16 && tiles >= 32 &&
         2 * shape.N * shape.h.out * shape.w.out >= tiles * outputs * outputs;
}

// Measured as above, 2 threads: with 128 channels and more 1.3 to 1.5 times as fast, on 14x14 too, with
// 64 1.2 times, with 32 a sixth slower. Along an axis of one tap no output is computed that nobody wants, so
// that tiles of 7x7 outputs still pay.
bool winograd_strided_kernel_gradient_pays(const Conv2dShape& s) {
  const int64_t tiles = ceil_div(s.h.out, 4) * ceil_div(s.w.out, 4);  // of an image
  return s.groups == 1 && s.C >= 64 && s.K >= 64 && s.N * tiles >= 32 &&
         3 * s.h.out * s.w.out >= 2 * 16 * tiles;
}

// Gains from 32 tiles of all images on: 14x14 with 64 channels and filters, 5x5 with stride 2, 1.3 times.
bool space_to_depth_kernel_gradient_pays(const Conv2dShape& s) {
  const int64_t outputs = 7 - block_taps(s.h);
  return space_to_depth_saves(s) && s.N * ceil_div(s.h.out, outputs) * ceil_div(s.w.out, outputs) >= 32;
}

// "auto" takes the first row that can do the shape and is preferred for it, a named algorithm its first row
// that can.
template <class Run>
struct Row {
  Algorithm algorithm;
  bool (*can_do)(const Conv2dShape&);
  bool (*is_preferred)(const Conv2dShape&);
  Run run;
};

// Of a row that can do float32 alone: null in the table of another type.
template <class T, class Run>
constexpr auto float_only(Run run) {
  if constexpr (std::is_same_v<T, float>)
    return run;
  else
    return nullptr;
}

template <class T>
using Forward = ForwardAlgorithm<T> (*)();
template <class T>
constexpr Row<Forward<T>> kForward[] = {
    {Algorithm::kDirect, few_filters_a_group<T, 16>, any_shape, depthwise_forward<T>},
    {Algorithm::kWinograd, winograd_can_do<T>, winograd_forward_pays, float_only<T>(winograd_forward)},
    {Algorithm::kWinograd, winograd_strided_can_do<T>, winograd_strided_pays,
     float_only<T>(winograd_strided_forward)},
    {Algorithm::kWinograd, space_to_depth_can_do<T>, space_to_depth_forward_pays,
     float_only<T>(winograd_space_to_depth_forward)},
    {Algorithm::kDirect, suits_grouped, any_shape, grouped_forward<T>},
    {Algorithm::kDirect, any_shape, any_shape, direct_forward<T>},
    {Algorithm::kReference, any_shape, any_shape, reference_forward<T>},
};

template <class T>
using InputGradient = Buffer (*)(const char*, const Conv2dShape&, const T* grad, const T* kernel,
                                 const T* bias);
template <class T>
constexpr Row<InputGradient<T>> kInputGradient[] = {
    {Algorithm::kDirect, few_filters_a_group<T, 16>, any_shape, depthwise_input_gradient<T>},
    {Algorithm::kWinograd, winograd_can_do<T>, winograd_input_gradient_pays,
     float_only<T>(winograd_input_gradient)},
    {Algorithm::kWinograd, winograd_strided_can_do<T>, winograd_strided_pays,
     float_only<T>(winograd_strided_input_gradient)},
    {Algorithm::kWinograd, space_to_depth_can_do<T>, space_to_depth_input_gradient_pays,
     float_only<T>(winograd_space_to_depth_input_gradient)},
    {Algorithm::kDirect, suits_grouped, any_shape, grouped_input_gradient<T>},
    {Algorithm::kDirect, few_channels, any_shape, few_channels_input_gradient<T>},
    {Algorithm::kDirect, any_shape, any_shape, direct_input_gradient<T>},
    {Algorithm::kReference, any_shape, any_shape, reference_input_gradient<T>},
};

template <class T>
using KernelGradient = Buffer (*)(const char*, const Conv2dShape&, const T* x, const T* grad);
template <class T>
constexpr Row<KernelGradient<T>> kKernelGradient[] = {
    {Algorithm::kDirect, few_filters_a_group<T, 8>, any_shape, depthwise_kernel_gradient<T>},
    {Algorithm::kDirect, suits_grouped, any_shape, grouped_kernel_gradient<T>},
    {Algorithm::kWinograd, winograd_can_do<T>, winograd_kernel_gradient_pays,
     float_only<T>(winograd_kernel_gradient)},
    {Algorithm::kWinograd, winograd_strided_can_do<T>, winograd_strided_kernel_gradient_pays,
     float_only<T>(winograd_strided_kernel_gradient)},
    {Algorithm::kWinograd, space_to_depth_can_do<T>, space_to_depth_kernel_gradient_pays,
     float_only<T>(winograd_space_to_depth_kernel_gradient)},
    {Algorithm::kDirect, any_shape, any_shape, direct_kernel_gradient<T>},
    {Algorithm::kReference, any_shape, any_shape, reference_kernel_gradient<T>},
};

struct Name {
  const char* text;
  Algorithm algorithm;
};
constexpr Name kNames[] = {{"auto", Algorithm::kAuto},
                           {"direct", Algorithm::kDirect},
                           {"winograd", Algorithm::kWinograd},
                           {"reference", Algorithm::kReference}};

Algorithm parse(const char* op, const char* where, const std::string& text) {
  for (const Name& name : kNames)
    if (text == name.text) return name.algorithm;
  fail(op, where, " must be 'auto', 'direct', 'winograd' or 'reference', received ", quoted(text));
}

const char* name_of(Algorithm algorithm) {
  for (const Name& name : kNames)
    if (algorithm == name.algorithm) return name.text;
  return "";
}

template <class Run, size_t Rows>
Run plan(const Row<Run> (&table)[Rows], const char* op, const Conv2dShape& shape, AlgorithmChoice choice) {
  const auto first_of = [&](Algorithm wanted) -> const Row<Run>* {
    for (const Row<Run>& row : table)
      if (row.can_do(shape) &&
          (wanted == Algorithm::kAuto ? row.is_preferred(shape) : wanted == row.algorithm))
        return &row;
    return nullptr;
  };
  const Row<Run>* row = first_of(choice.algorithm);
  if (!row && choice.may_fall_back) row = first_of(Algorithm::kAuto);
  if (row) return row->run;
  std::string able;
  for (const Name& name : kNames)
    if (first_of(name.algorithm)) able += (able.empty() ? "'" : ", '") + std::string(name.text) + "'";
  fail(op, "algorithm '", name_of(choice.algorithm), "' can't do this shape, expected one of ", able,
       " (x: ", tuple_text(shape.x_dims()), ", kernel: ", tuple_text(shape.kernel_dims()),
       ", groups=", shape.groups, ")");
}

}  // namespace

AlgorithmChoice choose_algorithm(const char* op, const std::string& name) {
  const Algorithm algorithm = parse(op, "algorithm", name);
  if (algorithm != Algorithm::kAuto) return {algorithm, false};
  const char* steered = std::getenv("KONV_ALGORITHM");
  if (!steered || !*steered) return {Algorithm::kAuto, true};
  return {parse(op, "the environment variable KONV_ALGORITHM", steered), true};
}

template <class T>
Buffer conv2d_forward(const char* op, const Conv2dShape& shape, const T* x, const T* kernel, const T* bias,
                      bool relu, AlgorithmChoice choice) {
  return plan(kForward<T>, op, shape, choice)().forward(op, shape, x, kernel, {bias, nullptr, relu});
}

template <class T>
PreparedConv2d<T>::PreparedConv2d(const char* op, const Conv2dShape& shape, const T* kernel,
                                  AlgorithmChoice choice)
    : shape_(shape),
      algorithm_(plan(kForward<T>, op, shape, choice)()),
      packed_(algorithm_.pack(op, shape, kernel)) {}

template <class T>
Buffer PreparedConv2d<T>::forward(const char* op, int64_t images, const T* x,
                                  const Epilogue<T>& epilogue) const {
  const Conv2dShape shape = this->shape(images);
  const T *packed = packed_.template as<T>(), *addend = epilogue.addend;
  if (!addend || algorithm_.adds) return algorithm_.packed_forward(op, shape, x, packed, epilogue);
  const Buffer y = algorithm_.packed_forward(op, shape, x, packed, {epilogue.bias, nullptr, false});
  return add(op, y.template as<T>(), addend, images * shape.h.out * shape.w.out * shape.K, epilogue.relu);
}

template <class T>
Buffer conv2d_input_gradient(const char* op, const Conv2dShape& shape, const T* grad, const T* kernel,
                             const T* bias, AlgorithmChoice choice) {
  return plan(kInputGradient<T>, op, shape, choice)(op, shape, grad, kernel, bias);
}

template <class T>
Buffer conv2d_kernel_gradient(const char* op, const Conv2dShape& shape, const T* x, const T* grad,
                              AlgorithmChoice choice) {
  return plan(kKernelGradient<T>, op, shape, choice)(op, shape, x, grad);
}

#define KONV_INSTANTIATE(T)                                                                               \
  template Buffer conv2d_forward<T>(const char*, const Conv2dShape&, const T*, const T*, const T*, bool,  \
                                    AlgorithmChoice);                                                     \
  template class PreparedConv2d<T>;                                                                       \
  template Buffer conv2d_input_gradient<T>(const char*, const Conv2dShape&, const T*, const T*, const T*, \
                                           AlgorithmChoice);                                              \
  template Buffer conv2d_kernel_gradient<T>(const char*, const Conv2dShape&, const T*, const T*,          \
                                            AlgorithmChoice);
KONV_INSTANTIATE(float)
KONV_INSTANTIATE(double)
#undef KONV_INSTANTIATE

}  // namespace konv::cpu
