// The table of a device that host code calls, with memory of the processor in place of a GPU's.
#pragma once

namespace flowc::emulation {

constexpr long long MOST_GRID_X = 0x7fffffff, MOST_GRID = 0xffff;
enum Status { FINE = 0, INVALID = 1 };  // as CUresult numbers them

struct Allocation {
  void *pointer;
  long long bytes;
  Allocation *next;
};

struct Memory {
  long long limit = 0, held = 0;
  Allocation *first = nullptr;
};
static Memory memory;

// What stands in fresh memory means nothing: floats are NaN.
inline void *allocate(void *, long long bytes) {
  if (bytes < 0 || bytes > memory.limit - memory.held) return nullptr;
  void *pointer = malloc((size_t)bytes);
  if (!pointer) return nullptr;
  memset(pointer, 0xff, (size_t)bytes);
  memory.first = new Allocation{pointer, bytes, memory.first};
  memory.held += bytes;
  return pointer;
}

inline void release(void *, void *pointer, long long bytes) {
  Allocation **place = &memory.first;
  while (*place && (*place)->pointer != pointer) place = &(*place)->next;
  Allocation *found = *place;
  if (!found) fail("memory is released that is not held");
  if (found->bytes != bytes) fail("%lld bytes are released as %lld", found->bytes, bytes);
  *place = found->next;
  memory.held -= bytes;
  free(pointer);
  delete found;
}

inline int copy(void *, void *to, const void *from, long long bytes) {
  memcpy(to, from, (size_t)bytes);
  return FINE;
}

inline bool is_launch(const Kernel *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared) {
  const bool grid = gx && gy && gz && gx <= MOST_GRID_X && gy <= MOST_GRID && gz <= MOST_GRID;
  const bool block = bx && by && bz && bx <= MOST_THREADS && by <= MOST_THREADS && bz <= 64 &&
                     (long long)bx * by * bz <= kernel->most_threads;
  return grid && block && static_shared(kernel) + shared <= MOST_SHARED;
}

inline int launch(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                  unsigned shared, void *, void **parameters, void **) {
  const Kernel *kernel = static_cast<const Kernel *>(function);
  if (!is_launch(kernel, gx, gy, gz, bx, by, bz, shared)) return INVALID;
  machine.kernel = kernel;
  machine.parameters = parameters;
  machine.thread_count = (int)(bx * by * bz);
  gridDim = {gx, gy, gz};
  blockDim = {bx, by, bz};
  shared_memory.dynamic.site = shared_memory.dynamic.name = "dynamic shared memory";
  shared_memory.dynamic.granule = 1;
  if (shared > machine.dynamic_shared) make_room(shared_memory.dynamic, shared);
  machine.dynamic_shared = shared;
  for (unsigned z = 0; z < gz; ++z)
    for (unsigned y = 0; y < gy; ++y)
      for (unsigned x = 0; x < gx; ++x) {
        blockIdx = {x, y, z};
        forget_shared();
        run_block();
      }
  machine.kernel = nullptr;
  return FINE;
}

// The words of runtime/device/product.py.
struct Matrices {
  long long address, matrix, row, column;
};
struct Description {
  long long dtype, result_dtype, count, rows, columns, depth;
  Matrices left, right, result;
};
enum Dtype { F64, F32, F16, BF16, I8, I32 };

inline double read_number(long long dtype, const Matrices &m, long long place) {
  const void *base = reinterpret_cast<const void *>(m.address);
  switch (dtype) {
    case F64: return static_cast<const double *>(base)[place];
    case F32: return static_cast<const float *>(base)[place];
    case F16: return half_to_float(static_cast<const unsigned short *>(base)[place]);
    case BF16: return __int_as_float((int)((unsigned)static_cast<const unsigned short *>(base)[place] << 16));
    case I8: return static_cast<const signed char *>(base)[place];
  }
  fail("no product of element type %lld", dtype);
}

inline unsigned short rounded_bfloat(float value) {
  const unsigned bits = (unsigned)__float_as_int(value);
  return (unsigned short)((value != value ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

inline void write_number(long long dtype, const Matrices &m, long long place, double sum) {
  void *base = reinterpret_cast<void *>(m.address);
  switch (dtype) {
    case F64: static_cast<double *>(base)[place] = sum; return;
    case F32: static_cast<float *>(base)[place] = (float)sum; return;
    case F16: static_cast<unsigned short *>(base)[place] = float_to_half((float)sum); return;
    case BF16: static_cast<unsigned short *>(base)[place] = rounded_bfloat((float)sum); return;
    case I32: static_cast<int *>(base)[place] = (int)(unsigned)(long long)sum; return;
  }
  fail("no product with element type %lld", dtype);
}

// Bytes are added exactly: a sum of fewer than 2^38 products of theirs has less than 53 bits.
inline int product(void *, const long long *words) {
  Description p;
  memcpy(&p, words, sizeof p);
  for (long long i = 0; i < p.count; ++i)
    for (long long row = 0; row < p.rows; ++row)
      for (long long column = 0; column < p.columns; ++column) {
        double sum = 0;
        for (long long k = 0; k < p.depth; ++k)
          sum += read_number(p.dtype, p.left, i * p.left.matrix + row * p.left.row + k * p.left.column) *
                 read_number(p.dtype, p.right, i * p.right.matrix + k * p.right.row + column * p.right.column);
        write_number(p.result_dtype, p.result,
                     i * p.result.matrix + row * p.result.row + column * p.result.column, sum);
      }
  return FINE;
}

struct Table {
  void *context, *stream;
  void **functions;
  int (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
  void *(*allocate)(void *, long long);
  void (*release)(void *, void *, long long);
  int (*read)(void *, void *, const void *, long long);
  int (*copy)(void *, void *, const void *, long long);
  int (*product)(void *, const long long *);
};

}  // namespace flowc::emulation

// A device whose blocks run their threads in an order ("forward", "reverse", or "shuffled" by a seed), with so
// many bytes of memory.
extern "C" void *flowc_emulated_device(const char *order, unsigned seed, long long bytes) {
  using namespace flowc::emulation;
  static void *functions[sizeof machine.kernels / sizeof *machine.kernels];
  static Table table = {nullptr, nullptr, functions, launch, allocate, release, copy, copy, product};
  for (int i = 0; i < machine.kernel_count; ++i) functions[i] = &machine.kernels[i];
  machine.order = !strcmp(order, "reverse")    ? Order::reverse
                  : !strcmp(order, "shuffled") ? Order::shuffled
                                               : Order::forward;
  machine.random = seed;
  memory.limit = bytes;
  return &table;
}
