// Winograd's convolution with a stride, over blocks of pixels (conv2d_space_to_depth.hpp), in float32.
//
// 11x11 with stride 4 becomes 3x3 over 16 times the channels, which F(4x4, 3x3) makes with 36 products of 16
// C channels for 16 outputs: 36 C products an output, where the direct algorithm takes 121 C. 7x7 with stride
// 2 becomes 4x4: 16 C for 49 C; 5x5 becomes 3x3: 9 C for 25 C. Forward, products leave out the channels whose
// last tap only fills up: 13.4 C for 7x7. The blocks are copies: it takes less than a tenth of the time to
// make them, and every pass on them is that of a convolution without a stride.
#include <algorithm>

#include "cpu/conv2d_algorithms.hpp"
#include "cpu/conv2d_problem.hpp"
#include "cpu/conv2d_space_to_depth.hpp"
#include "cpu/conv2d_winograd_by_tiles.hpp"
#include "cpu/result.hpp"

namespace konv::cpu {
namespace {

int64_t x_bytes(const char* op, const SpaceToDepth& blocks) {
  return checked_bytes(op, "x in blocks", blocks.over_blocks().x_dims(), sizeof(float));
}

int64_t kernel_bytes(const char* op, const SpaceToDepth& blocks) {
  return checked_bytes(op, "the kernel of blocks", blocks.over_blocks().kernel_dims(), sizeof(float));
}

int64_t result_bytes(const char* op, const Conv2dShape& shape) {
  return checked_bytes(op, "the result", shape.y_dims(), sizeof(float));
}

// The last tap over blocks, down or across, is one of the kernel's in these rows or columns of a block.
int64_t last_taps(const WindowAxis& axis) { return axis.window - (block_taps(axis) - 1) * axis.stride; }

WinogradByTiles forward_run(const Conv2dShape& shape, const SpaceToDepth& blocks) {
  return {forward_problem(blocks.over_blocks()),
          {shape.h.stride, shape.w.stride * shape.C, last_taps(shape.h), last_taps(shape.w) * shape.C}};
}

Buffer forward(const char* op, const Conv2dShape& shape, const float* x, const float* kernel,
               const Epilogue<float>& epilogue) {
  const SpaceToDepth blocks(shape);
  const WinogradByTiles run = forward_run(shape, blocks);
  auto [result, own_x, own_kernel, packed, scratch] =
      allocate(op, {result_bytes(op, shape), x_bytes(op, blocks), kernel_bytes(op, blocks),
                    run.packed_bytes(), run.scratch_bytes()});
  blocks.gather_kernel(kernel, own_kernel.as<float>());
  run.pack(own_kernel.as<float>(), packed.as<float>());
  blocks.gather_x(x, own_x.as<float>());
  run.run(own_x.as<float>(), packed.as<float>(), epilogue, result.as<float>(), scratch.data());
  return std::move(result);
}

Buffer pack(const char* op, const Conv2dShape& shape, const float* kernel) {
  const SpaceToDepth blocks(shape);
  const WinogradByTiles run = forward_run(shape, blocks);
  auto [packed, own_kernel] = allocate(op, {run.packed_bytes(), kernel_bytes(op, blocks)});
  blocks.gather_kernel(kernel, own_kernel.as<float>());
  run.pack(own_kernel.as<float>(), packed.as<float>());
  return std::move(packed);
}

Buffer packed_forward(const char* op, const Conv2dShape& shape, const float* x, const float* packed,
                      const Epilogue<float>& epilogue) {
  const SpaceToDepth blocks(shape);
  const WinogradByTiles run = forward_run(shape, blocks);
  auto [result, own_x, scratch] =
      allocate(op, {result_bytes(op, shape), x_bytes(op, blocks), run.scratch_bytes()});
  blocks.gather_x(x, own_x.as<float>());
  run.run(own_x.as<float>(), packed, epilogue, result.as<float>(), scratch.data());
  return std::move(result);
}

}  // namespace

ForwardAlgorithm<float> winograd_space_to_depth_forward() { return {forward, pack, packed_forward, true}; }

Buffer winograd_space_to_depth_input_gradient(const char* op, const Conv2dShape& shape, const float* grad,
                                              const float* kernel, const float* bias) {
  const SpaceToDepth blocks(shape);
  const int64_t channels = blocks.over_blocks().C;
  auto [result, own_kernel, own_bias] =
      allocate(op, {checked_bytes(op, "the result", shape.x_dims(), sizeof(float)), kernel_bytes(op, blocks),
                    bias ? channels * static_cast<int64_t>(sizeof(float)) : 0});
  blocks.gather_kernel(kernel, own_kernel.as<float>());
  if (bias)
    for (int64_t c = 0; c < channels; c += shape.C) std::copy(bias, bias + shape.C, own_bias.as<float>() + c);
  const Buffer own_result = winograd_input_gradient(op, blocks.over_blocks(), grad, own_kernel.as<float>(),
                                                    bias ? own_bias.as<float>() : nullptr);
  blocks.scatter_x(own_result.as<float>(), bias, result.as<float>());
  return std::move(result);
}

Buffer winograd_space_to_depth_kernel_gradient(const char* op, const Conv2dShape& shape, const float* x,
                                               const float* grad) {
  const SpaceToDepth blocks(shape);
  auto [result, own_x] = allocate(
      op, {checked_bytes(op, "the result", shape.kernel_dims(), sizeof(float)), x_bytes(op, blocks)});
  blocks.gather_x(x, own_x.as<float>());
  const Buffer own_result = winograd_kernel_gradient(op, blocks.over_blocks(), own_x.as<float>(), grad);
  blocks.scatter_kernel(own_result.as<float>(), result.as<float>());
  return std::move(result);
}

}  // namespace konv::cpu
