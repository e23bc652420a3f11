// Geometry of depthwise passes; see conv2d_depthwise_plan.hpp.
#include "cpu/conv2d_depthwise_plan.hpp"

#include <algorithm>
#include <numeric>

#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kMergedVectors = 8;        // of merged pixels: the last one may be filled in part
constexpr int64_t kWindowBytes = 512 << 10;  // the rows of a window: half of a 1 MiB L2
constexpr int64_t kLineBytes = 64;
constexpr double kTaskNanoseconds = 20e3;  // at least, so that handing out tasks costs nothing
constexpr int64_t kTasksPerThread = 8;     // at most: neighbouring bands read the same rows
constexpr int64_t kRowsPerThread = 16;     // with fewer, bands of rows would be unequal

// Without taps nothing is read, and with one no step is taken: such numbers could be too large to multiply.
LiveTaps taps_of_phase(const TapAxis& axis, int64_t output, const TapRange& live) {
  const int64_t taps = live.last - live.first;
  if (taps <= 0) return {};
  return {taps, axis.origin + output * axis.stride + live.first * axis.step, taps > 1 ? axis.step : 0,
          axis.first_tap + live.first * axis.tap_stride, axis.tap_stride};
}

// Outputs [first, next) of a phase, which the same taps reach, but for those that are cut at the image's
// edges.
struct AlikeOutputs {
  int64_t first, next;
  TapRange live;
  bool cut_first, cut_last;

  bool is_one_of(TapRange taps) const { return next == first + 1 && !(live != taps); }
};

std::vector<AlikeOutputs> alike_outputs(const TapAxis& axis, bool may_cut) {
  std::vector<AlikeOutputs> parts;
  size_t whole = axis.out;  // index of the part that all taps reach, if there is one
  for (int64_t first = 0, next; first < axis.out; first = next) {
    const TapRange live = live_taps(axis, first);
    for (next = first + 1; next < axis.out; ++next)
      if (live_taps(axis, next) != live) break;
    if (live.last - live.first == axis.taps) whole = parts.size();
    parts.push_back({first, next, live, false, false});
  }
  if (!may_cut || axis.taps < 2 || whole >= parts.size()) return parts;
  if (whole + 1 < parts.size() && parts[whole + 1].is_one_of({0, axis.taps - 1})) {
    parts[whole].next += 1;
    parts[whole].cut_last = true;
    parts.erase(parts.begin() + whole + 1);
  }
  if (whole > 0 && parts[whole - 1].is_one_of({1, axis.taps})) {
    parts[whole].first -= 1;
    parts[whole].cut_first = true;
    parts.erase(parts.begin() + whole - 1);
  }
  return parts;
}

// Appends them as runs of `width` neighbouring pixels merged.
void append_runs(const TapAxis& axis, const AlikeOutputs& outputs, const ColumnPitch& pitch, int64_t width,
                 std::vector<DepthwiseColumns>& runs) {
  const LiveTaps taps = taps_of_phase(axis, outputs.first, outputs.live);
  int64_t count = outputs.next - outputs.first;
  DepthwiseColumns run{count,
                       1,
                       taps.source * pitch.source,
                       count > 1 ? axis.stride * pitch.source : 0,
                       taps.taps,
                       taps.source_step * pitch.source,
                       taps.tap * pitch.weights,
                       taps.tap_step * pitch.weights,
                       (axis.out_offset + outputs.first * axis.out_stride) * pitch.result,
                       count > 1 ? axis.out_stride * pitch.result : 0,
                       outputs.cut_first,
                       outputs.cut_last};
  if (count >= width) {
    run.width = width;
    run.columns = count / width;
    run.source_step *= width;
    run.result_step *= width;
    runs.push_back(run);
    run.source += run.columns * run.source_step;
    run.result += run.columns * run.result_step;
    count %= width;
  }
  if (count == 0) return;
  run.width = count;
  run.columns = 1;
  runs.push_back(run);
}

}  // namespace

int64_t merged_pixels(int64_t channels, const GatherAxis& w, int64_t lanes) {
  const bool side_by_side = w.phases.size() == 1 && w.phases[0].stride == 1 && w.phases[0].out_stride == 1;
  if (!side_by_side || channels % lanes == 0 || channels > 4 * lanes) return 1;
  return ceil_div(kMergedVectors * lanes, channels);
}

int64_t channels_of_block(int64_t channels, int64_t group, int64_t blocks, int64_t item_size) {
  const int64_t unit = std::lcm(kLineBytes / item_size, group);
  return std::min(channels, ceil_div(ceil_div(channels, blocks), unit) * unit);
}

bool suits_depthwise(const Conv2dShape& shape, int64_t lanes) {
  const int64_t group = shape.group_filters();
  if (group != shape.group_channels() || (shape.groups == 1 && group > 1)) return false;
  return group == 1 || group % lanes == 0 || (lanes % group == 0 && shape.K % lanes == 0);
}

DepthwiseTasks::DepthwiseTasks(int64_t images, int64_t all_channels, int64_t group, const GatherAxis& h,
                               const GatherAxis& w, int64_t width, int64_t item_size) {
  const int64_t rows = images * h.results;
  const double nanoseconds =
      2.0 * images * all_channels * group * h.reads() * w.reads() / kFlopsPerNanosecond;
  threads = threads_for(kMaxThreads, nanoseconds);
  const double window_bytes = static_cast<double>(h.extent()) * w.sources * all_channels * item_size;
  double blocks = std::max(1.0, window_bytes / kWindowBytes);
  if (rows < kRowsPerThread * threads) blocks = std::max<double>(blocks, threads);
  if (width > 1) blocks = 1;  // merged pixels are not cut
  channels = channels_of_block(all_channels, group,
                               static_cast<int64_t>(std::min<double>(blocks, all_channels)), item_size);
  channel_blocks = ceil_div(all_channels, channels);
  const double most = std::min<double>(nanoseconds / kTaskNanoseconds, kTasksPerThread * threads);
  const int64_t turns = std::max<int64_t>(1, static_cast<int64_t>(most) / threads);  // the same for all
  bands =
      threads == 1 ? 1 : std::clamp<int64_t>(turns * threads / channel_blocks, 1, std::max<int64_t>(1, rows));
}

int64_t GatherAxis::extent() const {
  int64_t most = 0;
  for (const TapAxis& phase : phases)
    most = std::max(most, std::min(sources, (phase.taps - 1) * phase.step + 1));
  return most;
}

int64_t GatherAxis::last_tap() const {
  int64_t last = 0;
  for (const TapAxis& phase : phases)
    last = std::max({last, phase.first_tap + 1, phase.first_tap + (phase.taps - 1) * phase.tap_stride + 1});
  return last;
}

double GatherAxis::reads() const {
  double reads = 0;
  for (const TapAxis& phase : phases) reads += static_cast<double>(phase.out) * phase.taps;
  return reads;
}

LiveTaps GatherAxis::taps_of(int64_t result) const {
  for (const TapAxis& phase : phases)
    if ((result - phase.out_offset) % phase.out_stride == 0) {
      const int64_t output = (result - phase.out_offset) / phase.out_stride;
      return taps_of_phase(phase, output, live_taps(phase, output));
    }
  return {};
}

bool GatherAxis::reaches_all() const {
  int64_t reached = 0;
  for (const TapAxis& phase : phases) reached += phase.out;
  return reached == results;
}

GatherAxis forward_axis(const TapAxis& taps) { return {taps.in, taps.out, {taps}}; }

GatherAxis input_gradient_axis(const WindowAxis& axis) {
  GatherAxis gather{axis.out, axis.size, {}};
  for (int64_t phase : live_phases(axis)) {
    const TapAxis taps = input_gradient_taps(axis, phase);
    if (taps.taps > 0) gather.phases.push_back(taps);
  }
  return gather;
}

std::vector<DepthwiseColumns> column_runs(const GatherAxis& axis, const ColumnPitch& pitch, int64_t width) {
  std::vector<DepthwiseColumns> runs;
  if (!axis.reaches_all()) runs.push_back({axis.results, 1, 0, 0, 0, 0, 0, 0, 0, pitch.result, false, false});
  for (const TapAxis& phase : axis.phases)
    for (const AlikeOutputs& outputs : alike_outputs(phase, width == 1))
      append_runs(phase, outputs, pitch, width, runs);
  return runs;
}

}  // namespace konv::cpu
