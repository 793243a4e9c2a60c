// Fibers: stacks that a processor changes between. On x86-64 by a few instructions, as the library's switch asks
// the kernel about signals, and sanitizers clear the whole stack at each; elsewhere by the library's.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define FLOWC_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLOWC_WATCHED 1
#endif
#endif
#ifdef FLOWC_WATCHED
extern "C" void __sanitizer_start_switch_fiber(void **, const void *, size_t);
extern "C" void __sanitizer_finish_switch_fiber(void *, const void **, size_t *);
#endif

#if defined(__x86_64__) && !defined(FLOWC_UCONTEXT)

// Keeps what a function must find unchanged, exchanges the stacks, and goes on where the other one left off.
extern "C" void flowc_change_stack(void **from, void *to) __attribute__((visibility("hidden")));
asm(R"(
.text
.hidden flowc_change_stack
.globl flowc_change_stack
.type flowc_change_stack, @function
flowc_change_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size flowc_change_stack, . - flowc_change_stack
)");

namespace flowc::emulation {

struct Fiber {
  void *stack_pointer;
  const void *bottom;
  size_t size;

  void start(char *stack, size_t bytes, void (*function)()) {
    bottom = stack;
    size = bytes;
    uintptr_t *top = reinterpret_cast<uintptr_t *>((reinterpret_cast<uintptr_t>(stack) + bytes) & ~uintptr_t(15));
    *--top = 0;  // where the function would return to, which it never does
    *--top = reinterpret_cast<uintptr_t>(function);
    for (int i = 0; i < 6; ++i) *--top = 0;
    stack_pointer = top;
  }
  void change_to(Fiber &other) { flowc_change_stack(&stack_pointer, other.stack_pointer); }
};

}  // namespace flowc::emulation

#else

namespace flowc::emulation {

struct Fiber {
  ucontext_t context;
  const void *bottom;
  size_t size;

  void start(char *stack, size_t bytes, void (*function)()) {
    bottom = stack;
    size = bytes;
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = bytes;
    context.uc_link = nullptr;
    makecontext(&context, function, 0);
  }
  void change_to(Fiber &other) { swapcontext(&context, &other.context); }
};

}  // namespace flowc::emulation

#endif
