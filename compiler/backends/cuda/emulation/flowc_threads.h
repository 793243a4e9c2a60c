// Threads of a block as fibers: each has a stack of its own and gives way only where it waits for others.
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "flowc_fibers.h"

struct dim3 {
  unsigned x, y, z;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace flowc::emulation {

constexpr int WARP = 32, MOST_THREADS = 1024, MOST_WARPS = MOST_THREADS / WARP;
constexpr size_t STACK = 256 << 10, GUARD = 4096;
constexpr int SLOT = 64;  // bytes that a lane may hand to the others at once

struct Copy {
  char bytes[16];
  char *target;
  const void *region;
  bool committed;
  unsigned group;
};

struct Thread {
  Fiber fiber;
  dim3 position;
  void *fake_stack;
  const char *waits_in;  // null while it may run
  bool done;
  Copy *copies;
  size_t copy_count, copy_room;
  unsigned groups;
};

struct Warp {
  int arrived;
  const char *operation;
  unsigned syncs;       // how often its lanes were synchronised in this block
  unsigned generation;  // of two halves of the slots one is written while the other is read
  alignas(SLOT) char slots[2][WARP][SLOT];
};

struct Kernel {
  const char *name;
  void (*call)(void **parameters);
  bool together;
  int most_threads;  // of a block, as its launch bounds say
};

enum class Order { forward, reverse, shuffled };

// Everything that runs: one block of one launch.
struct Machine {
  Kernel kernels[4096];
  int kernel_count = 0;
  const Kernel *kernel = nullptr;
  void **parameters = nullptr;
  Thread threads[MOST_THREADS];
  Warp warps[MOST_WARPS];
  int fibers = 0, thread_count = 0, running = 0, at_barrier = 0;
  unsigned epoch = 1;  // barriers and blocks so far: what happened in another epoch is ordered
  size_t dynamic_shared = 0;
  Order order = Order::forward;
  unsigned long long random = 0;
  Fiber scheduler;
  void *scheduler_fake_stack = nullptr;
};
static Machine machine;

[[noreturn]] __attribute__((format(printf, 1, 2))) inline void fail(const char *format, ...) {
  fprintf(stderr, "flowc emulation: kernel %s, block (%u, %u, %u), thread (%u, %u, %u): ",
          machine.kernel ? machine.kernel->name : "-", blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x,
          threadIdx.y, threadIdx.z);
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  fflush(stderr);
  _exit(70);
}

inline dim3 position_of(int thread) {
  const unsigned n = (unsigned)thread;
  return {n % blockDim.x, n / blockDim.x % blockDim.y, n / blockDim.x / blockDim.y};
}

inline Warp &own_warp() { return machine.warps[machine.running / WARP]; }

// From a thread to the scheduler, until it is chosen again.
inline void give_way() {
  Thread &self = machine.threads[machine.running];
#ifdef FLOWC_WATCHED
  __sanitizer_start_switch_fiber(&self.fake_stack, machine.scheduler.bottom, machine.scheduler.size);
#endif
  self.fiber.change_to(machine.scheduler);
#ifdef FLOWC_WATCHED
  __sanitizer_finish_switch_fiber(self.fake_stack, &machine.scheduler.bottom, &machine.scheduler.size);
#endif
}

// A fiber's whole life: the same thread of one block after another.
inline void live() {
#ifdef FLOWC_WATCHED
  __sanitizer_finish_switch_fiber(nullptr, &machine.scheduler.bottom, &machine.scheduler.size);
#endif
  while (true) {
    machine.kernel->call(machine.parameters);
    machine.threads[machine.running].done = true;
    give_way();
  }
}

inline void make_fibers(int count) {
  for (; machine.fibers < count; ++machine.fibers) {
    void *room = mmap(nullptr, STACK + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) fail("no memory for the stacks of %d threads", count);
    mprotect(room, GUARD, PROT_NONE);
    machine.threads[machine.fibers].fiber.start((char *)room + GUARD, STACK, live);
  }
}

inline void go_on(int number) {
  Thread &thread = machine.threads[number];
  machine.running = number;
  threadIdx = thread.position;
#ifdef FLOWC_WATCHED
  __sanitizer_start_switch_fiber(&machine.scheduler_fake_stack, thread.fiber.bottom, thread.fiber.size);
#endif
  machine.scheduler.change_to(thread.fiber);
#ifdef FLOWC_WATCHED
  __sanitizer_finish_switch_fiber(machine.scheduler_fake_stack, nullptr, nullptr);
#endif
}

inline unsigned next_random() {
  machine.random = machine.random * 6364136223846793005ull + 1442695040888963407ull;
  return (unsigned)(machine.random >> 33);
}

inline void set_order(int *order) {
  const int count = machine.thread_count;
  for (int i = 0; i < count; ++i) order[i] = machine.order == Order::reverse ? count - 1 - i : i;
  if (machine.order != Order::shuffled) return;
  for (int i = count - 1; i > 0; --i) {
    const int other = (int)(next_random() % (unsigned)(i + 1)), kept = order[i];
    order[i] = order[other];
    order[other] = kept;
  }
}

[[noreturn]] inline void stuck() {
  const Thread *waits = nullptr, *other = nullptr;
  for (int i = 0; i < machine.thread_count; ++i) {
    const Thread &thread = machine.threads[i];
    if (!thread.done && !waits) waits = &thread;
  }
  for (int i = 0; i < machine.thread_count; ++i) {
    const Thread &thread = machine.threads[i];
    if (thread.done || thread.waits_in != waits->waits_in) other = &thread;
  }
  threadIdx = waits->position;
  if (!other) fail("waits in %s for ever", waits->waits_in);
  fail("waits in %s, to which not all come: thread (%u, %u, %u) %s%s", waits->waits_in, other->position.x,
       other->position.y, other->position.z, other->done ? "has ended" : "waits in ",
       other->done ? "" : other->waits_in);
}

inline void run_together() {
  int order[MOST_THREADS];
  make_fibers(machine.thread_count);
  for (int i = 0; i < machine.thread_count; ++i) {
    Thread &thread = machine.threads[i];
    thread.position = position_of(i);
    thread.done = false;
    thread.waits_in = nullptr;
    thread.copy_count = thread.groups = 0;
  }
  for (int i = 0; i < (machine.thread_count + WARP - 1) / WARP; ++i)
    machine.warps[i].arrived = machine.warps[i].syncs = 0;
  machine.at_barrier = 0;
  for (int left = machine.thread_count; left > 0;) {
    bool moved = false;
    set_order(order);
    for (int i = 0; i < machine.thread_count; ++i) {
      Thread &thread = machine.threads[order[i]];
      if (thread.done || thread.waits_in) continue;
      go_on(order[i]);
      moved = true;
      left -= thread.done;
    }
    if (!moved) stuck();
  }
}

// Threads that never wait need no stacks of their own.
inline void run_alone() {
  int order[MOST_THREADS];
  set_order(order);
  for (int i = 0; i < machine.thread_count; ++i) {
    machine.running = order[i];
    machine.threads[order[i]].copy_count = machine.threads[order[i]].groups = 0;
    threadIdx = machine.threads[order[i]].position = position_of(order[i]);
    machine.kernel->call(machine.parameters);
  }
}

inline void run_block() {
  ++machine.epoch;
  if (machine.kernel->together)
    run_together();
  else
    run_alone();
}

template <size_t...> struct Places {};
template <size_t N, size_t... I> struct Counted : Counted<N - 1, N - 1, I...> {};
template <size_t... I> struct Counted<0, I...> {
  using type = Places<I...>;
};

template <typename... P, size_t... I>
inline void unpacked(void (*kernel)(P...), void **parameters, Places<I...>) {
  kernel(*static_cast<P *>(parameters[I])...);
}
template <typename... P> inline void unpacked(void (*kernel)(P...), void **parameters) {
  unpacked(kernel, parameters, typename Counted<sizeof...(P)>::type());
}

template <auto KERNEL> inline bool add(const char *name, bool together, int most_threads) {
  machine.kernels[machine.kernel_count++] = {
      name, [](void **parameters) { unpacked(KERNEL, parameters); }, together, most_threads};
  return true;
}

}  // namespace flowc::emulation

// Waits for all threads of the block.
inline void __syncthreads() {
  using namespace flowc::emulation;
  if (++machine.at_barrier < machine.thread_count) {
    machine.threads[machine.running].waits_in = "__syncthreads";
    give_way();
    return;
  }
  machine.at_barrier = 0;
  ++machine.epoch;
  for (int i = 0; i < machine.thread_count; ++i) machine.threads[i].waits_in = nullptr;
}
