// The steps of Winograd's convolution; see conv2d_winograd_steps.hpp.
#include "cpu/conv2d_winograd_steps.hpp"

#include <algorithm>

#include "cpu/isa.hpp"
#include "cpu/streaming.hpp"
#include "cpu/threads.hpp"

namespace konv::cpu {

WinogradSteps::WinogradSteps(const ConvProblem& problem)
    : problem_(problem),
      plan_(make_winograd_plan(problem.h, problem.w)),
      kernels_(winograd_kernels()),
      transforms_(kernels_.taps[plan_.taps - kLeastWinogradTaps]),
      panels_(ceil_div(problem.filters, kernels_.block_filters)),
      threads_(threads_for(kMaxThreads, problem.nanoseconds() / 3, problem.most_threads)) {
  const auto& edges = kernels_.edges[edge_points() > 4];
  shapes_[kRightEdge] = edges[0];
  shapes_[kBottomEdge] = edges[1];
  shapes_[kCorner] = edges[2];
  shapes_[kWhole] = plan_.adjoint
                        ? WinogradEdgeTransforms{transforms_.adjoint_data, transforms_.adjoint_results}
                        : WinogradEdgeTransforms{kernels_.data, transforms_.results};
}

int64_t WinogradSteps::panel_filters(int64_t panel) const {
  return std::min<int64_t>(kernels_.block_filters, problem_.filters - panel * kernels_.block_filters);
}

const float* WinogradSteps::first_tap(const float* kernel, const KernelBlock& block) const {
  return kernel + plan_.h.first_tap * problem_.kernel_row + plan_.w.first_tap * problem_.kernel_column +
         block.first_channel * problem_.kernel_channel + block.first_filter * problem_.kernel_filter;
}

void WinogradSteps::transform_kernel(const float* kernel, const KernelBlock& block, float* panel,
                                     int64_t point_pitch, bool streamed) const {
  WinogradKernel k{};
  k.kernel = first_tap(kernel, block);
  k.row_stride = plan_.h.tap_stride * problem_.kernel_row;
  k.column_stride = plan_.w.tap_stride * problem_.kernel_column;
  k.channel_stride = problem_.kernel_channel;
  k.filter_stride = problem_.kernel_filter;
  k.rows = problem_.h.taps;
  k.columns = problem_.w.taps;
  k.channels = block.channels;
  k.filters = block.filters;
  k.panel = panel;
  k.point_pitch = point_pitch;
  k.streamed = streamed;
  transforms_.kernel(k);
}

void WinogradSteps::pack_tap(const float* kernel, int64_t tap, const KernelBlock& block, float* taps,
                             int64_t panel_pitch) const {
  const int64_t B = kernels_.block_filters, R = plan_.taps, i = tap / R, j = tap % R;
  const bool there = i < problem_.h.taps && j < problem_.w.taps;
  const float* from = first_tap(kernel, block) + i * plan_.h.tap_stride * problem_.kernel_row +
                      j * plan_.w.tap_stride * problem_.kernel_column;
  kernels_.pack_tap({there ? from : nullptr, problem_.kernel_channel, problem_.kernel_filter, block.channels,
                     block.filters, taps + tap * B, R * R * B, panel_pitch, kernels_.can_stream});
}

void WinogradSteps::transform_taps(const float* taps, int64_t channels, float* panel,
                                   int64_t point_pitch) const {
  const int64_t B = kernels_.block_filters, R = plan_.taps;
  transforms_.kernel({taps, R * B, B, R * R * B, 1, R, R, channels, B, panel, point_pitch, false});
}

void WinogradSteps::find_patches(int64_t first_tile, int64_t count, WinogradPatches& patches) const {
  const WinogradAxis &h = plan_.h, &w = plan_.w;
  const ConvProblem& p = problem_;
  const auto patch_at = [](int64_t image, int64_t row, int64_t column, int64_t row_stride,
                           int64_t column_stride) {
    return WinogradPatch{image + row * row_stride + column * column_stride, row, column};
  };
  int64_t found = 0;
  for (int shape = 0; shape < kTileShapes; ++shape) {
    patches.first[shape] = found;
    if (shape != kWhole && !plan_.has_edges()) continue;
    int64_t image = first_tile / w.tiles / h.tiles, row = first_tile / w.tiles % h.tiles,
            column = first_tile % w.tiles;
    for (int64_t t = 0; t < count; ++t) {
      if (plan_.shape_of(row, column) == shape) {
        const int64_t i = row * h.outputs, j = column * w.outputs;
        patches.source[found] = patch_at(image * p.x_image, i + h.source, j + w.source, p.x_row, p.x_column);
        patches.result[found++] =
            patch_at(image * p.y_image, i + h.result, j + w.result, p.y_row, p.y_column);
      }
      if (++column < w.tiles) continue;
      column = 0;
      if (++row < h.tiles) continue;
      row = 0;
      ++image;
    }
  }
  patches.first[kTileShapes] = found;
}

WinogradRange WinogradSteps::tiles_at(int64_t point, const WinogradPatches& patches) const {
  if (!plan_.has_edges()) return {0, patches.count()};
  const auto has = [](const WinogradAxis& axis, int64_t i) {
    return i < axis.last_points - 1 || i == kWinogradAxisPoints - 1;
  };
  const bool down = has(plan_.h, point / kWinogradAxisPoints),
             across = has(plan_.w, point % kWinogradAxisPoints);
  const WinogradTileShape begin = across ? kRightEdge : kWhole;
  return {patches.first[begin], patches.first[!down ? kBottomEdge : across ? kTileShapes : kCorner]};
}

void WinogradSteps::transform_data(const float* x, int64_t channels, const WinogradPatches& patches,
                                   const WinogradRange& tiles, const WinogradMatrices& points,
                                   bool streamed) const {
  WinogradData d{};
  d.x = x;
  d.row_stride = problem_.x_row;
  d.column_stride = problem_.x_column;
  d.rows = problem_.h.in;
  d.columns = problem_.w.in;
  d.channels = channels;
  d.tile_pitch = points.tile_pitch;
  d.point_pitch = points.point_pitch;
  d.streamed = streamed && kernels_.can_stream;
  for (int shape = 0; shape < kTileShapes; ++shape) {
    const int64_t begin = std::max(tiles.begin, patches.first[shape]),
                  end = std::min(tiles.end, patches.first[shape + 1]);
    d.patches = patches.source + begin;
    d.tiles = end - begin;
    d.points = points.first + begin * points.tile_pitch;
    if (begin < end) shapes_[shape].data(d);
  }
}

// The pixels of a tile that its left and upper neighbours, if there are any, don't have.
void WinogradSteps::fetch_data(const float* x, int64_t channels, const WinogradPatches& patches,
                               const WinogradRange& parts) const {
  const ConvProblem& p = problem_;
  const int64_t shared = plan_.adjoint ? 0 : plan_.taps - 1, parts_of_tile = fetch_parts(channels),
                high = plan_.h.outputs + shared, part_rows = ceil_div(high, parts_of_tile);
  for (int64_t i = parts.begin; i < parts.end; ++i) {
    const int64_t t = i / parts_of_tile, part = i % parts_of_tile;
    const auto& [offset, row, column] = patches.source[t];
    const int64_t left = column > plan_.w.source ? shared : 0,
                  first = std::max(part * part_rows, row > plan_.h.source ? shared : 0),
                  last = std::min(high, (part + 1) * part_rows);
    if (first >= last) continue;
    kernels_.fetch({x,
                    p.x_row,
                    p.x_column,
                    p.h.in,
                    p.w.in,
                    {offset + first * p.x_row + left * p.x_column, row + first, column + left},
                    last - first,
                    plan_.w.outputs + shared - left,
                    channels});
  }
}

// Rows, where one has 32 lines of new pixels and more: 112x112x128 and 56x56x256 take 0.98 to 0.99 of the
// time of whole tiles; with 64 channels as long, with 48 longer.
int64_t WinogradSteps::fetch_parts(int64_t channels) const {
  return channels > 64 ? plan_.h.outputs + plan_.taps - 1 : 1;
}

bool WinogradSteps::streams_results() const {
  const int64_t bytes = problem_.images * problem_.y_image * static_cast<int64_t>(sizeof(float));
  return kernels_.can_stream && !plan_.adjoint && worth_streaming(bytes) &&
         problem_.filters % (kernels_.block_filters / 2) == 0 && problem_.y_column % 16 == 0;
}

void WinogradSteps::transform_results(const WinogradMatrices& sums, const WinogradPatches& patches,
                                      int64_t panel, const Epilogue<float>& epilogue, float* y) const {
  const int64_t first = panel * kernels_.block_filters;
  WinogradResults r{};
  r.sums_pitch = sums.point_pitch;
  r.filters = panel_filters(panel);
  r.accumulate = plan_.adjoint;
  r.bias = epilogue.bias && !plan_.adjoint ? epilogue.bias + first : nullptr;
  r.addend = epilogue.addend ? epilogue.addend + first : nullptr;
  r.relu = epilogue.relu;
  r.y = y + first;
  r.row_stride = problem_.y_row;
  r.column_stride = problem_.y_column;
  r.rows = problem_.h.out;
  r.columns = problem_.w.out;
  r.streamed = streams_results();
  for (int shape = 0; shape < kTileShapes; ++shape) {
    r.sums = sums.first + patches.first[shape] * sums.tile_pitch;
    r.patches = patches.result + patches.first[shape];
    r.tiles = patches.first[shape + 1] - patches.first[shape];
    if (r.tiles > 0) shapes_[shape].results(r);
  }
}

void WinogradSteps::fetch_results(float* y, const WinogradPatches& patches, const WinogradRange& tiles,
                                  int64_t panel) const {
  const ConvProblem& p = problem_;
  for (int64_t t = tiles.begin; t < tiles.end; ++t)
    kernels_.fetch({y + panel * kernels_.block_filters, p.y_row, p.y_column, p.h.out, p.w.out,
                    patches.result[t], plan_.h.outputs, plan_.w.outputs, panel_filters(panel)});
}

void WinogradSteps::begin_adjoint(const float* bias, float* y, int64_t first, int64_t last,
                                  int64_t first_panel, int64_t last_panel) const {
  const int64_t B = kernels_.block_filters, first_filter = first_panel * B,
                last_filter = std::min(problem_.filters, last_panel * B);
  for (int64_t image = first; image < last; ++image)
    for (int64_t row = 0; row < problem_.h.out; ++row)
      for (int64_t column = 0; column < problem_.w.out; ++column) {
        float* pixel = y + image * problem_.y_image + row * problem_.y_row + column * problem_.y_column;
        for (int64_t k = first_filter; k < last_filter; ++k) pixel[k] = bias ? bias[k] : 0.0f;
      }
}

}  // namespace konv::cpu
