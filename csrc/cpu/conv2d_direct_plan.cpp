// Geometry of the direct algorithm; see conv2d_direct_plan.hpp.
#include "cpu/conv2d_direct_plan.hpp"

#include <algorithm>
#include <numeric>

namespace konv::cpu {
namespace {

// Largest slab: half of a 1 MiB L2, the other half is for the packed kernel.
constexpr int64_t kSlabBytes = 512 << 10;
constexpr int64_t kFewChannels = 16;  // below, a tap is too short to be an axis of its own
constexpr int64_t kLeastChannels = 16;

bool meets_input(const TapAxis& axis, int64_t tap) {
  const int64_t lowest = axis.origin + tap * axis.step;
  return lowest < axis.in && lowest + (axis.out - 1) * axis.stride >= 0;
}

TapAxis without_dead_taps(TapAxis axis) {
  while (axis.taps > 0 && !meets_input(axis, axis.taps - 1)) --axis.taps;
  while (axis.taps > 0 && !meets_input(axis, 0)) {
    axis.origin += axis.step;
    axis.first_tap += axis.tap_stride;
    --axis.taps;
  }
  return axis;
}

}  // namespace

TapAxis forward_taps(const WindowAxis& axis) {
  return without_dead_taps(
      {axis.size, axis.out, axis.stride, -axis.before, axis.window, axis.dilation, 0, 1, 0, 1});
}

TapAxis input_gradient_taps(const WindowAxis& axis, int64_t phase) {
  // Position h = phase + stride * i is read by output p through tap r where p * stride = h + before - r *
  // dilation. Such taps repeat every stride / gcd(stride, dilation).
  const int64_t period = axis.stride / std::gcd(axis.stride, axis.dilation);
  TapAxis taps{axis.out, ceil_div(axis.size - phase, axis.stride), 1, 0, 0, 1, 0, 0, phase, axis.stride};
  int64_t first = 0;
  while (first < axis.window && first < period &&
         (phase + axis.before - first * axis.dilation) % axis.stride != 0)
    ++first;
  if (first >= axis.window || first >= period) return taps;  // no tap reaches this phase
  taps.taps = (axis.window - 1 - first) / period + 1;
  // The last tap reads the smallest p: reverse the order, so that positions rise.
  const int64_t last = first + (taps.taps - 1) * period;
  taps.origin = (phase + axis.before - last * axis.dilation) / axis.stride;
  taps.step = period * axis.dilation / axis.stride;
  taps.first_tap = last;
  taps.tap_stride = -period;
  return without_dead_taps(taps);
}

TapRange live_taps(const TapAxis& axis, int64_t output) {
  const int64_t position = output * axis.stride + axis.origin;  // of tap 0
  const auto first_at = [&](int64_t input) {
    return std::clamp<int64_t>(ceil_div(input - position, axis.step), 0, axis.taps);
  };
  return {first_at(0), first_at(axis.in)};
}

bool meets_padding(const TapAxis& axis) {
  return axis.origin < 0 ||
         axis.origin + (axis.out - 1) * axis.stride + (axis.taps - 1) * axis.step >= axis.in;
}

std::vector<int64_t> live_phases(const WindowAxis& axis) {
  const int64_t period = axis.stride / std::gcd(axis.stride, axis.dilation);
  std::vector<int64_t> phases;
  for (int64_t tap = 0; tap < std::min(axis.window, period); ++tap) {
    const int64_t rest = (tap * axis.dilation - axis.before) % axis.stride;
    const int64_t phase = rest < 0 ? rest + axis.stride : rest;
    if (phase < axis.size) phases.push_back(phase);
  }
  std::sort(phases.begin(), phases.end());
  return phases;
}

bool SlabAxis::is_dense(const TapAxis& axis) const {
  return out_pitch == axis.stride && tap_pitch == axis.step;
}

int64_t SlabAxis::input_position(const TapAxis& axis, int64_t first, int64_t i) const {
  const int64_t offset = is_dense(axis) ? i : i / axis.taps * axis.stride + i % axis.taps * axis.step;
  const int64_t position = first * axis.stride + axis.origin + offset;
  return position >= 0 && position < axis.in ? position : -1;
}

SlabAxis make_slab_axis(const TapAxis& axis, int64_t block, bool adjacent_taps) {
  if (axis.taps == 0) return {block, 0, 0, 0};
  const int64_t dense = (block - 1) * axis.stride + (axis.taps - 1) * axis.step + 1;
  const int64_t compact = block * axis.taps;
  if (dense <= compact && !(adjacent_taps && axis.step != 1)) return {block, axis.stride, axis.step, dense};
  return {block, axis.taps, 1, compact};
}

SlabPlan make_slab_plan(const TapAxis& h, const TapAxis& w, int64_t channels, bool may_merge, int64_t pixels,
                        int64_t most_channels, int64_t padding, int64_t item_size) {
  SlabPlan plan{};
  plan.h = h;
  plan.w = w;
  plan.merged = may_merge && channels < kFewChannels;
  // Rows up to half as wide again stay whole, wider ones are cut into equal parts.
  plan.block_columns = w.out <= pixels + pixels / 2 ? 1 : ceil_div(w.out, pixels);
  const int64_t columns = ceil_div(w.out, plan.block_columns);
  plan.block_columns = ceil_div(w.out, columns);
  plan.block_rows = ceil_div(h.out, std::min(h.out, ceil_div(pixels, columns)));
  const int64_t rows = ceil_div(h.out, plan.block_rows);
  plan.block_rows = ceil_div(h.out, rows);
  plan.slab_h = make_slab_axis(h, rows, false);
  plan.slab_w = make_slab_axis(w, columns, plan.merged);
  plan.channels = std::min(channels, most_channels);
  const auto padded = [&](int64_t count) {
    return plan.merged ? count : count % 32 == 0 ? count + padding : count;
  };
  const int64_t positions = plan.slab_h.positions * plan.slab_w.positions;
  while (plan.channels > kLeastChannels && positions * padded(plan.channels) * item_size > kSlabBytes)
    plan.channels = std::max(kLeastChannels, plan.channels / 2);
  plan.pitch = padded(plan.channels);
  plan.row_stride = plan.slab_h.out_pitch * plan.slab_w.positions * plan.pitch;
  plan.column_stride = plan.slab_w.out_pitch * plan.pitch;
  plan.row_taps = plan.merged ? std::min<int64_t>(1, w.taps) : w.taps;
  plan.taps = h.taps * plan.row_taps;
  plan.length = plan.merged ? w.taps * channels : plan.channels;
  return plan;
}

std::vector<int64_t> SlabPlan::tap_offsets() const {
  std::vector<int64_t> offsets;
  for (int64_t r = 0; r < h.taps; ++r)
    for (int64_t s = 0; s < row_taps; ++s)
      offsets.push_back((r * slab_h.tap_pitch * slab_w.positions + s * slab_w.tap_pitch) * pitch);
  return offsets;
}

void fill_block_tables(const SlabPlan& plan, int64_t block, BlockTables& tables) {
  tables.first_row = block / plan.block_columns * plan.slab_h.block;
  tables.first_column = block % plan.block_columns * plan.slab_w.block;
  tables.rows = std::min(plan.slab_h.block, plan.h.out - tables.first_row);
  tables.columns = std::min(plan.slab_w.block, plan.w.out - tables.first_column);
  for (int64_t i = 0; i < plan.slab_h.positions; ++i)
    tables.row_index[i] = plan.slab_h.input_position(plan.h, tables.first_row, i);
  tables.run_count = 0;
  const int64_t positions = plan.slab_w.positions;
  if (plan.slab_w.is_dense(plan.w)) {  // padding, columns, padding
    const int64_t start = tables.first_column * plan.w.stride + plan.w.origin;
    const int64_t begin = std::clamp<int64_t>(-start, 0, positions);
    const int64_t end = std::clamp(plan.w.in - start, begin, positions);
    for (const ColumnRun& run : {ColumnRun{0, begin, -1}, ColumnRun{begin, end - begin, start + begin},
                                 ColumnRun{end, positions - end, -1}})
      if (run.length > 0) tables.runs[tables.run_count++] = run;
    return;
  }
  for (int64_t i = 0; i < positions; ++i) {
    const int64_t column = plan.slab_w.input_position(plan.w, tables.first_column, i);
    ColumnRun* last = tables.run_count ? &tables.runs[tables.run_count - 1] : nullptr;
    const bool continues =
        last && (column < 0 ? last->column < 0 : last->column >= 0 && column == last->column + last->length);
    if (continues)
      ++last->length;
    else
      tables.runs[tables.run_count++] = {i, 1, column};
  }
}

PixelTable make_pixel_table(const SlabPlan& plan, int64_t columns, int64_t y_row, int64_t y_column) {
  PixelTable table;
  table.pixel.reserve(plan.pixels());
  table.out.reserve(plan.pixels());
  for (int64_t i = 0; i < plan.slab_h.block; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      table.pixel.push_back(i * plan.row_stride + j * plan.column_stride);
      table.out.push_back(i * plan.h.out_stride * y_row + j * plan.w.out_stride * y_column);
    }
  return table;
}

bool is_pointwise(const TapAxis& h, const TapAxis& w) {
  const auto plain = [](const TapAxis& axis) {
    return axis.taps == 1 && axis.stride == 1 && axis.origin == 0 && axis.in == axis.out &&
           axis.out_stride == 1;
  };
  return plain(h) && plain(w);
}

}  // namespace konv::cpu
