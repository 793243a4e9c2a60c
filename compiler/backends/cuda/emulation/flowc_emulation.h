// CUDA on a processor: what the text of flowc's kernels uses of CUDA and of flowc's own functions.
//
// Blocks run one after another; their threads are fibers that give way to one another where they wait. Shared
// memory watches who reads and writes it. What no kernel may do ends the process with a report.
#pragma once

#include "flowc_threads.h"

#include "flowc_shared.h"

#include "flowc_warps.h"

#include "flowc_numbers.h"

#include "flowc_matrices.h"

#include "flowc_device.h"

#define __global__
#define __device__
#define __launch_bounds__(threads)
#define FLOWC_SHARED(type, name, count)                                                \
  static const char *const name##_site = #name;                                        \
  const auto name = flowc::emulation::shared_array<type>(&name##_site, #name, count)
#define FLOWC_KERNEL(name, together, threads) \
  static const bool name##_is_known = flowc::emulation::add<&name>(#name, together, threads);
