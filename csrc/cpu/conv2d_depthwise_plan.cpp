// Geometry of depthwise passes; see conv2d_depthwise_plan.hpp.
#include "cpu/conv2d_depthwise_plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "cpu/threads.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kMergedVectors = 8;  // of merged pixels: the last one may be filled in part
constexpr int64_t kLineBytes = 64;
constexpr double kWindowBytes = 512 << 10;  // the rows of a window: half of a 1 MiB L2
// Of the source: 256 KiB, which L2 holds together with what the next task reads, take 1.1 to 1.2 times as
// long with stride 2, where memory is all that counts.
constexpr double kTaskBytes = 64 << 10;
constexpr int64_t kRowsReadOnce = 4;      // at least, for each one that the next band reads, and sums, too
constexpr double kTaskNanoseconds = 5e3;  // at least, so that handing out tasks costs little
constexpr double kTasksPerThread = 4;     // to balance threads

// Outputs [first, next) of a phase, which the same taps reach, but for those that are cut at the image's
// edges.
struct AlikeOutputs {
  int64_t first, next;
  TapRange live;
  bool cut_first, cut_last;

  bool is_one_of(TapRange taps) const { return next == first + 1 && !(live != taps); }
};

// Those of outputs [range.first, range.last).
std::vector<AlikeOutputs> alike_outputs(const TapAxis& axis, AxisRange range, bool may_cut) {
  std::vector<AlikeOutputs> parts;
  size_t whole = range.last;  // index of the part that all taps reach, if there is one
  for (int64_t first = range.first, next; first < range.last; first = next) {
    const TapRange live = live_taps(axis, first);
    next = first + 1;
    if (axis.taps > 0 && live.last - live.first == axis.taps) {
      const int64_t last = (axis.in - 1 - axis.origin - (axis.taps - 1) * axis.step) / axis.stride;
      next = std::min(last + 1, range.last);
      whole = parts.size();
    }
    while (next < range.last && !(live_taps(axis, next) != live)) ++next;
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

// The outputs of a phase that are among these results.
AxisRange outputs_among(const TapAxis& axis, AxisRange results) {
  const auto first_from = [&axis](int64_t result) {
    return std::clamp<int64_t>(ceil_div(result - axis.out_offset, axis.out_stride), 0, axis.out);
  };
  return {first_from(results.first), first_from(results.last)};
}

// Appends them as spans of `width` neighbouring ones merged. Without taps nothing is read, and with one tap
// or result no step is taken: such numbers could be too large to multiply.
void append_spans(const TapAxis& axis, const AlikeOutputs& outputs, const SpanPitch& pitch, int64_t width,
                  std::vector<DepthwiseSpan>& spans) {
  const int64_t taps = std::max<int64_t>(0, outputs.live.last - outputs.live.first);
  int64_t count = outputs.next - outputs.first;
  DepthwiseSpan span{};
  span.result = (axis.out_offset + outputs.first * axis.out_stride) * pitch.result;
  span.result_step = count > 1 ? axis.out_stride * pitch.result : 0;
  span.cut_first = outputs.cut_first;
  span.cut_last = outputs.cut_last;
  if (taps > 0) {
    span.taps = taps;
    span.source = (axis.origin + outputs.first * axis.stride + outputs.live.first * axis.step) * pitch.source;
    span.source_step = count > 1 ? axis.stride * pitch.source : 0;
    span.tap_step = taps > 1 ? axis.step * pitch.source : 0;
    span.weights = (axis.first_tap + outputs.live.first * axis.tap_stride) * pitch.weights;
    span.weights_step = axis.tap_stride * pitch.weights;
  }
  if (count >= width) {
    DepthwiseSpan& merged = spans.emplace_back(span);
    merged.width = width;
    merged.count = count / width;
    merged.source_step *= width;
    merged.result_step *= width;
    span.source += merged.count * merged.source_step;
    span.result += merged.count * merged.result_step;
    count %= width;
  }
  if (count == 0) return;
  span.width = count;
  span.count = 1;
  spans.push_back(span);
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

DepthwiseTasks::DepthwiseTasks(int64_t all_images, int64_t all_channels, int64_t group, const GatherAxis& h,
                               const GatherAxis& w, int64_t width, int64_t item_size)
    : images(all_images), rows(h.results) {
  const double nanoseconds =
      2.0 * images * all_channels * group * h.reads() * w.reads() / kFlopsPerNanosecond;
  threads = threads_for(kMaxThreads, nanoseconds);
  const double row_bytes = static_cast<double>(w.sources) * all_channels * item_size;
  // Tasks of an image that give each thread several, all as many.
  const double turns =
      std::floor(std::min<double>(nanoseconds / kTaskNanoseconds / threads, kTasksPerThread));
  const double shared = threads == 1 ? 1 : std::max(1.0, turns) * threads / std::max<int64_t>(1, images);
  const int64_t overlap = h.phases.empty() ? 0 : std::max<int64_t>(0, h.extent() - h.phases[0].stride);
  const double most_bands = std::clamp<int64_t>(h.sources / std::max<int64_t>(1, kRowsReadOnce * overlap), 1,
                                                std::max<int64_t>(1, rows));
  const double tall = std::clamp(shared, 1.0, most_bands);
  double blocks = std::max(shared / tall, row_bytes * h.extent() / kWindowBytes);
  if (width > 1) blocks = 1;  // merged pixels are not cut
  channels =
      channels_of_block(all_channels, group,
                        static_cast<int64_t>(std::ceil(std::min<double>(blocks, all_channels))), item_size);
  channel_blocks = ceil_div(all_channels, channels);
  const double fitting = row_bytes * h.sources / kTaskBytes / channel_blocks;
  bands = static_cast<int64_t>(std::min(most_bands, std::ceil(std::max(tall, fitting))));
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

std::vector<DepthwiseSpan> spans_of(const GatherAxis& axis, AxisRange results, const SpanPitch& pitch,
                                    int64_t width) {
  std::vector<DepthwiseSpan> spans;
  if (!axis.reaches_all()) {
    DepthwiseSpan& all = spans.emplace_back();
    all.count = results.last - results.first;
    all.width = 1;
    all.result = results.first * pitch.result;
    all.result_step = pitch.result;
  }
  for (const TapAxis& phase : axis.phases)
    for (const AlikeOutputs& outputs : alike_outputs(phase, outputs_among(phase, results), width == 1))
      append_spans(phase, outputs, pitch, width, spans);
  return spans;
}

AxisRange sources_of(const std::vector<DepthwiseSpan>& spans, int64_t pitch) {
  AxisRange range{std::numeric_limits<int64_t>::max(), 0};
  for (const DepthwiseSpan& span : spans) {
    if (span.taps == 0) continue;
    // Where a result is cut, its next tap is at the edge or, with dilation, the tap of the result beside it.
    const int64_t cut = std::min(span.tap_step, span.source_step);
    range.first = std::min(range.first, span.source + span.cut_first * cut);
    range.last = std::max(range.last, span.source + (span.count - 1) * span.source_step +
                                          (span.taps - 1) * span.tap_step - span.cut_last * cut + pitch);
  }
  range.first = std::min(range.first, range.last);
  return range;
}

}  // namespace konv::cpu
