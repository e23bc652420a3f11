// Linux: /proc/meminfo, the cgroups and the limit of the address space; elsewhere only the last is known.
#include "cpu/memory_limit.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "core/check.hpp"
#include "cpu/buffer_pool.hpp"
#include "cpu/cgroup.hpp"

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

Limits read_limits() {
  Limits limits;
  const int64_t total_kib = read_key("/proc/meminfo", "MemTotal:");
  const int64_t available_kib = read_key("/proc/meminfo", "MemAvailable:");
  if (total_kib >= 0) limits.total = total_kib * 1024;
  if (available_kib >= 0) limits.available = available_kib * 1024;
  for (const Cgroup& group : cgroups_of_process("memory")) {
    const bool v2 = group.version == 2;
    const int64_t limit = read_number(group.folder + (v2 ? "memory.max" : "memory.limit_in_bytes"));
    const int64_t used = read_number(group.folder + (v2 ? "memory.current" : "memory.usage_in_bytes"));
    if (limit < 0 || used < 0) continue;
    const int64_t cache =
        read_key(group.folder + "memory.stat", v2 ? "inactive_file " : "total_inactive_file ");
    limits.restrict_to(limit, used - std::max<int64_t>(0, cache));
  }
  rlimit address_space{};
  if (getrlimit(RLIMIT_AS, &address_space) == 0 && address_space.rlim_cur != RLIM_INFINITY) {
    const int64_t used_pages = read_number("/proc/self/statm");  // its first number is the address space
    if (used_pages >= 0)
      limits.restrict_to(static_cast<int64_t>(address_space.rlim_cur), used_pages * sysconf(_SC_PAGESIZE));
  }
  return limits;
}

}  // namespace

std::mutex& grant_mutex() {
  static std::mutex mutex;
  return mutex;
}

MemoryGrant::MemoryGrant(const char* op, int64_t bytes) {
  if (bytes > kAlwaysGranted) lock_ = std::unique_lock<std::mutex>(grant_mutex());
  require_memory(op, bytes);
}

int64_t available_memory() { return read_limits().available; }

int64_t total_memory() { return read_limits().total; }

void require_memory(const char* op, int64_t bytes) {
  if (bytes <= kAlwaysGranted) return;
  const auto left = [] {
    return available_memory() - static_cast<int64_t>(BufferPool::instance().untouched());
  };
  int64_t available = left();
  if (bytes <= available) return;
  BufferPool::instance().clear();  // cached buffers count as used
  available = std::max<int64_t>(0, left());
  if (bytes > available)
    throw OutOfMemory(concatenate(op, ": result and scratch need ", bytes, " bytes, but only ", available,
                                  " bytes of memory are available"));
}

}  // namespace konv::cpu
