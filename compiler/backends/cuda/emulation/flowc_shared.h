// Shared memory that watches: every access is inside, and ordered with those of other threads by a barrier, or
// within a warp by its sync. The rule is that of happens-before; see C. Flanagan and S. Freund, "FastTrack:
// Efficient and Precise Dynamic Race Detection", 2009: two kinds of order leave few states to remember.
#pragma once

namespace flowc {

template <typename T, int N> struct alignas(N * sizeof(T)) vec {
  T at[N];
};

namespace emulation {

// Who has accessed a location in an epoch: one thread, several of a warp, or several warps.
struct Accesses {
  unsigned epoch, syncs;
  short thread;
  bool several_threads, several_warps;

  bool concurrent() const {
    if (epoch != machine.epoch) return false;
    if (several_warps || thread / WARP != machine.running / WARP) return true;
    return syncs == own_warp().syncs && (several_threads || thread != machine.running);
  }

  void add() {
    const unsigned now = own_warp().syncs;
    if (epoch != machine.epoch) {
      several_threads = several_warps = false;
    } else if (thread / WARP != machine.running / WARP) {
      several_threads = several_warps = true;
    } else if (!several_warps && thread != machine.running) {
      several_threads = syncs == now;
    } else if (!several_warps && syncs != now) {
      several_threads = false;
    }
    epoch = machine.epoch;
    syncs = now;
    thread = (short)machine.running;
  }
};

enum class Kind { read, write, atomic };

struct Location {
  Accesses reads, writes, atomics;
};

struct Region {
  const Kernel *kernel;
  const void *site;
  const char *name;
  char *data;
  size_t bytes, granule;
  Location *locations;

  [[noreturn]] void race(size_t place, Kind kind, const Accesses &other, const char *did) const {
    const char *does = kind == Kind::read ? "reads" : kind == Kind::write ? "writes" : "changes in one step";
    const dim3 there = position_of(other.thread);
    char who[80];
    if (other.thread == machine.running || other.several_threads)
      snprintf(who, sizeof who, "several threads");
    else
      snprintf(who, sizeof who, "thread (%u, %u, %u)", there.x, there.y, there.z);
    fail("race on shared memory `%s`, element %zu: this thread %s what %s %s, and no barrier is between them",
         name, place, does, who, did);
  }

  void access(const char *at, size_t size, Kind kind) const {
    const size_t first = (size_t)(at - data) / granule, last = ((size_t)(at - data) + size - 1) / granule;
    for (size_t place = first; place <= last; ++place) {
      Location &here = locations[place];
      if (here.writes.concurrent()) race(place, kind, here.writes, "wrote");
      if (kind != Kind::atomic && here.atomics.concurrent()) race(place, kind, here.atomics, "changed in one step");
      if (kind != Kind::read && here.reads.concurrent()) race(place, kind, here.reads, "read");
      (kind == Kind::read ? here.reads : kind == Kind::write ? here.writes : here.atomics).add();
    }
  }
};

constexpr int MOST_REGIONS = 256;
constexpr size_t MOST_SHARED = 227 << 10, MOST_STATIC = 48 << 10;

// The shared memory of a block. It outlives blocks; what one leaves the next does not see.
struct SharedMemory {
  Region regions[MOST_REGIONS];
  int count = 0;
  Region dynamic = {};
};
static SharedMemory shared_memory;

// Bytes of the arrays that a kernel's code has, as far as it has come to them.
inline size_t static_shared(const Kernel *kernel) {
  size_t bytes = 0;
  for (int i = 0; i < shared_memory.count; ++i)
    if (shared_memory.regions[i].kernel == kernel) bytes += (shared_memory.regions[i].bytes + 15) / 16 * 16;
  return bytes;
}

inline void make_room(Region &region, size_t bytes) {
  if (bytes > region.bytes) {
    free(region.data);
    free(region.locations);
    region.data = (char *)aligned_alloc(16, (bytes + 15) / 16 * 16);
    region.locations = (Location *)calloc((bytes + region.granule - 1) / region.granule, sizeof(Location));
    if (!region.data || !region.locations) fail("no memory for %zu bytes of shared memory", bytes);
  }
  region.bytes = bytes;
}

// Before a block: nothing stands in its memory that means anything, and floats are NaN.
inline void forget_shared() {
  for (int i = 0; i < shared_memory.count; ++i)
    memset(shared_memory.regions[i].data, 0xff, shared_memory.regions[i].bytes);
  if (machine.dynamic_shared) memset(shared_memory.dynamic.data, 0xff, machine.dynamic_shared);
}

// A pointer to shared memory that knows where it may point.
template <typename T> struct Shared {
  T *at;
  const Region *region;
  const char *low, *high;

  struct Element {
    const Shared where;

    operator T() const {
      where.check(sizeof(T), Kind::read);
      return *where.at;
    }
    void operator=(T value) const {
      where.check(sizeof(T), Kind::write);
      *where.at = value;
    }
    void operator=(const Element &other) const { *this = (T)other; }
  };

  void check(size_t size, Kind kind) const {
    const char *here = (const char *)at;
    if (here < low || here + size > high)
      fail("access outside of shared memory `%s`: byte %td of %td", region->name, here - low, high - low);
    if ((size_t)here % size) fail("access to shared memory `%s`, not aligned to its %zu bytes", region->name, size);
    region->access(here, size, kind);
  }

  Element operator[](long long place) const { return {*this + place}; }
  Shared operator+(long long places) const {
    return {(T *)((unsigned long long)at + (unsigned long long)places * sizeof(T)), region, low, high};
  }
  explicit operator long long() const { return (long long)at; }
};

template <typename T> inline Shared<T> shared_array(const void *site, const char *name, size_t count) {
  for (int i = 0; i < shared_memory.count; ++i) {
    const Region &known = shared_memory.regions[i];
    if (known.site == site) return {(T *)known.data, &known, known.data, known.data + known.bytes};
  }
  if (shared_memory.count == MOST_REGIONS) fail("more than %d arrays of shared memory", MOST_REGIONS);
  Region &region = shared_memory.regions[shared_memory.count++];
  region = {machine.kernel, site, name, nullptr, 0, sizeof(T), nullptr};
  make_room(region, count * sizeof(T));
  const size_t bytes = static_shared(machine.kernel);
  if (bytes > MOST_STATIC) fail("%zu bytes of static shared memory, of at most %zu", bytes, MOST_STATIC);
  if (bytes + machine.dynamic_shared > MOST_SHARED)
    fail("%zu bytes of static shared memory and %zu of dynamic, of at most %zu in all", bytes,
         machine.dynamic_shared, MOST_SHARED);
  memset(region.data, 0xff, region.bytes);
  return {(T *)region.data, &region, region.data, region.data + region.bytes};
}

}  // namespace emulation

template <typename T> inline emulation::Shared<T> shared_at(long long offset, long long count) {
  using namespace emulation;
  const long long bytes = count * (long long)sizeof(T);
  if (offset < 0 || offset % 16 || bytes < 0 || offset + bytes > (long long)machine.dynamic_shared)
    fail("%lld bytes at %lld of dynamic shared memory, of which the launch asked for %zu", bytes, offset,
         machine.dynamic_shared);
  char *start = shared_memory.dynamic.data + offset;
  return {(T *)start, &shared_memory.dynamic, start, start + bytes};
}

template <int N, typename T> inline vec<T, N> load(const T *at) {
  return *reinterpret_cast<const vec<T, N> *>(at);
}
template <int N, typename T> inline vec<T, N> load(emulation::Shared<T> at) {
  at.check(N * sizeof(T), emulation::Kind::read);
  return *reinterpret_cast<const vec<T, N> *>(at.at);
}
template <typename T, int N> inline void store(T *at, vec<T, N> value) {
  *reinterpret_cast<vec<T, N> *>(at) = value;
}
template <typename T, int N> inline void store(emulation::Shared<T> at, vec<T, N> value) {
  at.check(N * sizeof(T), emulation::Kind::write);
  *reinterpret_cast<vec<T, N> *>(at.at) = value;
}

template <typename T, typename S> inline T *as(S *at) { return reinterpret_cast<T *>(at); }
template <typename T, typename S> inline emulation::Shared<T> as(emulation::Shared<S> at) {
  return {reinterpret_cast<T *>(at.at), at.region, at.low, at.high};
}

// Atomic operations: threads change places only where they wait, so that one step is one step.
namespace emulation {

template <typename T, typename F> inline T change(T *at, F changed) {
  const T old = *at;
  *at = changed(old);
  return old;
}
template <typename T, typename F> inline T change(Shared<T> at, F changed) {
  at.check(sizeof(T), Kind::atomic);
  return change(at.at, changed);
}

template <typename P> struct Pointed;
template <typename T> struct Pointed<T *> {
  using type = T;
};
template <typename T> struct Pointed<Shared<T>> {
  using type = T;
};
template <typename P> using Element = typename Pointed<P>::type;

}  // namespace emulation
}  // namespace flowc

#define FLOWC_ATOMIC(name, changed)                                                                   \
  template <typename P, typename T = flowc::emulation::Element<P>> inline T name(P at, T value) {     \
    return flowc::emulation::change(at, [value](T old) -> T { return changed; });                     \
  }
FLOWC_ATOMIC(atomicAdd, old + value)
FLOWC_ATOMIC(atomicExch, value)
FLOWC_ATOMIC(atomicMin, value < old ? value : old)
FLOWC_ATOMIC(atomicMax, old < value ? value : old)
FLOWC_ATOMIC(atomicAnd, old & value)
FLOWC_ATOMIC(atomicOr, old | value)
FLOWC_ATOMIC(atomicXor, old ^ value)

template <typename P, typename T = flowc::emulation::Element<P>> inline T atomicCAS(P at, T expected, T desired) {
  return flowc::emulation::change(at, [=](T old) { return old == expected ? desired : old; });
}
