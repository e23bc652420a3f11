// Linux: /proc/meminfo and the cgroup hierarchy, versions 1 and 2; elsewhere no limit is known.
#include "cpu/memory_limit.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "core/check.hpp"
#include "cpu/buffer_pool.hpp"

namespace konv::cpu {
namespace {

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();
constexpr int64_t kAlwaysGranted = int64_t{64} << 20;

// The number behind `key` in a file of "key value" lines, in the file's own unit.
int64_t read_key(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  int64_t value;
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    try {
      value = std::stoll(line.substr(key.size()));
    } catch (const std::exception&) {
      return -1;
    }
    return value;
  }
  return -1;
}

// A file that holds one number; -1 for "max", an absent file or anything else.
int64_t read_number(const std::string& path) {
  std::ifstream file(path);
  int64_t value;
  return file >> value ? value : -1;
}

struct Limits {
  int64_t total = kUnknown;
  int64_t available = kUnknown;

  void restrict_to(int64_t limit, int64_t used) {
    total = std::min(total, limit);
    available = std::min(available, std::max<int64_t>(0, limit - used));
  }
};

// Walks from a cgroup up to its mount: any ancestor's limit binds.
void apply_cgroup(Limits& limits, const std::string& mount, std::string path, const char* limit_file,
                  const char* usage_file, const char* cache_key) {
  for (;;) {
    const std::string folder = mount + path + "/";
    const int64_t limit = read_number(folder + limit_file);
    const int64_t used = read_number(folder + usage_file);
    if (limit >= 0 && used >= 0) {
      const int64_t cache = std::max<int64_t>(0, read_key(folder + "memory.stat", cache_key));
      limits.restrict_to(limit, used - cache);
    }
    if (path.empty()) return;
    path.erase(path.find_last_of('/'));
  }
}

Limits read_limits() {
  Limits limits;
  const int64_t total_kib = read_key("/proc/meminfo", "MemTotal:");
  const int64_t available_kib = read_key("/proc/meminfo", "MemAvailable:");
  if (total_kib >= 0) limits.total = total_kib * 1024;
  if (available_kib >= 0) limits.available = available_kib * 1024;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "0::/path" or "9:memory:/path"
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    if (controllers.empty()) {
      apply_cgroup(limits, "/sys/fs/cgroup", path, "memory.max", "memory.current", "inactive_file ");
    } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
      apply_cgroup(limits, "/sys/fs/cgroup/memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes",
                   "total_inactive_file ");
    }
  }
  return limits;
}

}  // namespace

int64_t available_memory() { return read_limits().available; }

int64_t total_memory() { return read_limits().total; }

void require_memory(const char* op, int64_t bytes) {
  if (bytes <= kAlwaysGranted) return;
  int64_t available = available_memory();
  if (bytes <= available) return;
  BufferPool::instance().clear();  // cached buffers count as used
  available = available_memory();
  if (bytes > available)
    throw OutOfMemory(concatenate(op, ": result and scratch need ", bytes, " bytes, but only ", available,
                                  " bytes of memory are available"));
}

}  // namespace konv::cpu
