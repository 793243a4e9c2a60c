// What the lanes of a warp do together: each hands a value to all others, and goes on once all have.
#pragma once

namespace flowc::emulation {

// Waits for all lanes of the warp, each with a value of its own; gives the values of all. What `orders` also
// orders the accesses of the lanes to memory before it and after it.
template <typename T> inline const T *meet(const char *operation, const T &value, bool orders = false) {
  static_assert(sizeof(T) <= SLOT, "a lane hands over few bytes");
  Warp &warp = own_warp();
  const int first = machine.running / WARP * WARP, lane = machine.running - first;
  if (machine.thread_count - first < WARP)
    fail("%s takes all %d lanes of a warp, and this one has %d", operation, WARP, machine.thread_count - first);
  if (!warp.arrived) {
    warp.operation = operation;
  } else if (warp.operation != operation) {
    fail("is in %s while another lane of its warp is in %s", operation, warp.operation);
  }
  const unsigned half = warp.generation % 2;
  memcpy(warp.slots[half][lane], &value, sizeof(T));
  if (++warp.arrived < WARP) {
    machine.threads[machine.running].waits_in = operation;
    give_way();
  } else {
    warp.arrived = 0;
    ++warp.generation;
    warp.syncs += orders;
    for (int i = first; i < first + WARP; ++i) machine.threads[i].waits_in = nullptr;
  }
  return reinterpret_cast<const T *>(warp.slots[half][0]);
}

inline int lane() { return machine.running % WARP; }

template <typename T> struct alignas(SLOT) Slot {
  T value;
};

template <typename T> inline T shuffle(const char *operation, unsigned mask, T value, int source, int width) {
  if (mask != 0xffffffffu) fail("%s for the lanes %x of a warp", operation, mask);
  const int first = lane() / width * width;
  const Slot<T> *all = meet(operation, Slot<T>{value});
  return source < first || source >= first + width ? value : all[source].value;
}

}  // namespace flowc::emulation

namespace flowc {
inline int lane() { return emulation::lane(); }
}  // namespace flowc

template <typename T> inline T __shfl_xor_sync(unsigned mask, T value, int with, int width) {
  return flowc::emulation::shuffle("__shfl_xor_sync", mask, value, flowc::lane() ^ with, width);
}
template <typename T> inline T __shfl_down_sync(unsigned mask, T value, int by, int width) {
  return flowc::emulation::shuffle("__shfl_down_sync", mask, value, flowc::lane() + by, width);
}
template <typename T> inline T __shfl_up_sync(unsigned mask, T value, int by, int width) {
  return flowc::emulation::shuffle("__shfl_up_sync", mask, value, flowc::lane() - by, width);
}
template <typename T> inline T __shfl_sync(unsigned mask, T value, int from, int width) {
  const int place = flowc::lane() / width * width + (int)((unsigned)from % (unsigned)width);
  return flowc::emulation::shuffle("__shfl_sync", mask, value, place, width);
}

inline unsigned __ballot_sync(unsigned mask, bool condition) {
  using namespace flowc::emulation;
  if (mask != 0xffffffffu) fail("__ballot_sync for the lanes %x of a warp", mask);
  const Slot<bool> *all = meet("__ballot_sync", Slot<bool>{condition});
  unsigned bits = 0;
  for (int i = 0; i < WARP; ++i) bits |= (unsigned)all[i].value << i;
  return bits;
}

inline void __syncwarp() {
  using namespace flowc::emulation;
  meet("__syncwarp", Slot<char>{0}, true);
}

inline void __threadfence() {}
