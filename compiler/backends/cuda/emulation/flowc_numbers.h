// CUDA's functions on numbers, and those of flowc that reach instructions of a GPU.
#pragma once

#include <math.h>

namespace flowc::emulation {

template <typename T, typename S> inline T same_bits(S source) {
  static_assert(sizeof(T) == sizeof(S), "as many bits");
  T target;
  memcpy(&target, &source, sizeof target);
  return target;
}

}  // namespace flowc::emulation

inline int __float_as_int(float value) { return flowc::emulation::same_bits<int>(value); }
inline float __int_as_float(int bits) { return flowc::emulation::same_bits<float>(bits); }
inline long long __double_as_longlong(double value) { return flowc::emulation::same_bits<long long>(value); }
inline double __longlong_as_double(long long bits) { return flowc::emulation::same_bits<double>(bits); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }

namespace flowc {

inline float half_to_float(unsigned short bits) {
  const unsigned size = bits & 0x7fffu, sign = (bits & 0x8000u) << 16;
  if (size >= 0x7c00u) return __int_as_float((int)(sign | 0x7f800000u | (size & 0x3ffu) << 13));
  const float value = ldexpf((float)(size < 0x400u ? size : (size & 0x3ffu) | 0x400u),
                             (size < 0x400u ? 1 : (int)(size >> 10)) - 25);
  return sign ? -value : value;
}

// To nearest even: the quotient by the last place that stays is rounded to a whole number.
inline unsigned short float_to_half(float value) {
  const unsigned short sign = (unsigned)__float_as_int(value) >> 16 & 0x8000u;
  if (value != value) return sign | 0x7fffu;
  const float size = fabsf(value);
  if (size >= 65520.0f) return sign | 0x7c00u;
  int exponent;
  frexpf(size, &exponent);
  const int last = size == 0 || exponent < -13 ? -24 : exponent - 11;
  const unsigned places = (unsigned)rintf(ldexpf(size, -last));
  return (unsigned short)(sign | (places + ((unsigned)(last + 24) << 10)));
}

template <typename T> inline T minimum(T a, T b) {
  if (a != a || b != b) return a + b;
  return a < b || (a == b && signbit(a)) ? a : b;
}
template <typename T> inline T maximum(T a, T b) {
  if (a != a || b != b) return a + b;
  return a > b || (a == b && !signbit(a)) ? a : b;
}

#define FLOWC_ATOMIC_LOOP(name, changed)                                          \
  template <typename P, typename T = emulation::Element<P>> inline T name(P at, T value) { \
    return emulation::change(at, [value](T old) -> T { return changed; });        \
  }
FLOWC_ATOMIC_LOOP(atomic_minimum, minimum(old, value))
FLOWC_ATOMIC_LOOP(atomic_maximum, maximum(old, value))
#undef FLOWC_ATOMIC_LOOP

namespace emulation {
inline float multiplied(float a, float b) { return a * b; }
inline double multiplied(double a, double b) { return a * b; }
inline int multiplied(int a, int b) { return (int)((unsigned)a * (unsigned)b); }
inline long long multiplied(long long a, long long b) {
  return (long long)((unsigned long long)a * (unsigned long long)b);
}
}  // namespace emulation

template <typename P, typename T = emulation::Element<P>> inline T atomic_multiply(P at, T value) {
  return emulation::change(at, [value](T old) { return emulation::multiplied(old, value); });
}

}  // namespace flowc
