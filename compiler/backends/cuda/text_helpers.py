"""The functions that the text of kernels calls, in CUDA C++. A module has those it needs.

Some reach instructions of the device through PTX or CUDA's own functions: `DEVICE`, in whose place the header
of the emulation has its own. The others are plain C++, and the same everywhere: `PLAIN`.
"""

from collections.abc import Iterable

_HEAD = """\
// Written by flowc.
#ifndef FLOWC_EMULATION
#define FLOWC_SHARED(type, name, count) __shared__ alignas(16) type name[count]
#define FLOWC_KERNEL(name, together, threads)
#endif
"""

_MULTIPLY = """\
__device__ inline vec<SUM, 4> multiply_DTYPE(vec<int, 4> a, vec<int, 2> b, vec<SUM, 4> c) {
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.SHAPE.row.col.TYPES "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+R"(c.at[0]), "+R"(c.at[1]), "+R"(c.at[2]), "+R"(c.at[3])
      : "r"(a.at[0]), "r"(a.at[1]), "r"(a.at[2]), "r"(a.at[3]), "r"(b.at[0]), "r"(b.at[1]));
#else
OLDER
#endif
  return c;
}"""

_HALVES_ON_75 = """\
  for (int half = 0; half < 2; ++half)
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(c.at[0]), "+f"(c.at[1]), "+f"(c.at[2]), "+f"(c.at[3])
        : "r"(a.at[2 * half]), "r"(a.at[2 * half + 1]), "r"(b.at[half]));"""

_BYTES_ON_75 = """\
  for (int i = 0; i < 4; ++i)
    asm volatile("mma.sync.aligned.m8n8k16.row.col.TYPES {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+r"(c.at[i % 2 * 2]), "+r"(c.at[i % 2 * 2 + 1])
        : "r"(a.at[i]), "r"(b.at[i / 2]));"""

_BFLOATS_ON_75 = """\
  const int t = lane() % 4, g = lane() / 4;
  for (int word = 0; word < 2; ++word)
    for (int other = 0; other < 4; ++other)
      for (int column = 0; column < 2; ++column) {
        const int right = __shfl_sync(0xffffffffu, b.at[word], (2 * t + column) * 4 + other, 32);
        for (int row = 0; row < 2; ++row) {
          const int left = __shfl_sync(0xffffffffu, a.at[2 * word + row], 4 * g + other, 32);
          float &sum = c.at[2 * row + column];
          sum += __int_as_float((int)((unsigned)left << 16)) * __int_as_float((int)((unsigned)right << 16));
          sum += __int_as_float(left & 0xffff0000) * __int_as_float(right & 0xffff0000);
        }
      }"""


def _multiply(dtype: str, shape: str, types: str, sums: str, older: str) -> str:
    words = {"SUM": sums, "DTYPE": dtype, "SHAPE": shape, "+R": "+f" if sums == "float" else "+r"}
    text = _MULTIPLY.replace("OLDER", older).replace("TYPES", types)
    for word, replacement in words.items():
        text = text.replace(word, replacement)
    return text


_LOAD_MATRIX = """\
template <typename T> __device__ inline vec<int, COUNT> load_matrixNAME(const T *row) {
  vec<int, COUNT> words;
  asm volatile("ldmatrix.sync.aligned.m8n8.xCOUNTTURNED.shared.b16 {PLACES}, [%COUNT];"
      : RESULTS
      : "r"((unsigned)__cvta_generic_to_shared(row)) : "memory");
  return words;
}"""


def _load_matrix(count: int, *, transposed: bool) -> str:
    words = {
        "COUNT": str(count),
        "NAME": f"{count}{'_transposed' if transposed else ''}",
        "TURNED": ".trans" if transposed else "",
        "PLACES": ", ".join(f"%{i}" for i in range(count)),
        "RESULTS": ", ".join(f'"=r"(words.at[{i}])' for i in range(count)),
    }
    text = _LOAD_MATRIX
    for word, replacement in words.items():
        text = text.replace(word, replacement)
    return text


def _atomic(name: str, type_: str, word: str, bits: tuple[str, str], change: str) -> str:
    """A change of memory that CUDA has no function for: tried anew until nobody came between."""
    return f"""\
__device__ inline {type_} {name}({type_} *at, {type_} value) {{
  {word} seen, old = *(volatile {word} *)at;
  do {{
    seen = old;
    const {type_} before = {bits[0]}(seen);
    old = atomicCAS(({word} *)at, seen, ({word}){bits[1]}({change}));
  }} while (old != seen);
  return {bits[0]}(old);
}}"""


_FLOATS = ("float", "unsigned", ("__uint_as_float", "__float_as_uint"))
_DOUBLES = ("double", "unsigned long long", ("__longlong_as_double", "__double_as_longlong"))
_INTS = ("int", "unsigned", ("(int)", "(unsigned)"))
_LONGS = ("long long", "unsigned long long", ("(long long)", "(unsigned long long)"))

_EXTREME = """\
__device__ inline float NAME(float a, float b) {
#if __CUDA_ARCH__ >= 800
  float result;
  asm("SHORT.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
#else
  return a != a || b != b ? a + b : fSHORTf(a, b);
#endif
}
__device__ inline double NAME(double a, double b) { return a != a || b != b ? a + b : fSHORT(a, b); }"""

DEVICE: dict[str, str] = {
    "vec": "template <typename T, int N> struct alignas(N * sizeof(T)) vec { T at[N]; };",
    "load": """\
template <int N, typename T> __device__ inline vec<T, N> load(const T *at) {
  return *reinterpret_cast<const vec<T, N> *>(at);
}""",
    "store": """\
template <typename T, int N> __device__ inline void store(T *at, vec<T, N> value) {
  *reinterpret_cast<vec<T, N> *>(at) = value;
}""",
    "as": """\
template <typename T, typename S> __device__ inline T *as(S *at) { return reinterpret_cast<T *>(at); }""",
    "shared_at": """\
template <typename T> __device__ inline T *shared_at(long long offset, long long) {
  extern __shared__ uint4 flowc_shared[];
  return reinterpret_cast<T *>(reinterpret_cast<char *>(flowc_shared) + offset);
}""",
    "lane": """\
__device__ inline int lane() {
  int number;
  asm("mov.u32 %0, %%laneid;" : "=r"(number));
  return number;
}""",
    "half_to_float": """\
__device__ inline float half_to_float(unsigned short bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}""",
    "float_to_half": """\
__device__ inline unsigned short float_to_half(float value) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}""",
    "minimum": _EXTREME.replace("NAME", "minimum").replace("SHORT", "min"),
    "maximum": _EXTREME.replace("NAME", "maximum").replace("SHORT", "max"),
    "atomic_minimum": "\n".join(
        _atomic("atomic_minimum", *form, "minimum(before, value)") for form in (_FLOATS, _DOUBLES)
    ),
    "atomic_maximum": "\n".join(
        _atomic("atomic_maximum", *form, "maximum(before, value)") for form in (_FLOATS, _DOUBLES)
    ),
    "atomic_multiply": "\n".join(
        [
            *(_atomic("atomic_multiply", *form, "before * value") for form in (_FLOATS, _DOUBLES)),
            _atomic("atomic_multiply", *_INTS, "(unsigned)before * value"),
            _atomic("atomic_multiply", *_LONGS, "(unsigned long long)before * value"),
        ]
    ),
    "multiply_f16": _multiply("f16", "m16n8k16", "f32.f16.f16.f32", "float", _HALVES_ON_75),
    "multiply_bf16": _multiply("bf16", "m16n8k16", "f32.bf16.bf16.f32", "float", _BFLOATS_ON_75),
    "multiply_i8": _multiply("i8", "m16n8k32", "s32.s8.s8.s32", "int", _BYTES_ON_75),
    "multiply_u8": _multiply("u8", "m16n8k32", "s32.u8.u8.s32", "int", _BYTES_ON_75),
    "load_matrix2": _load_matrix(2, transposed=False),
    "load_matrix4": _load_matrix(4, transposed=False),
    "load_matrix2_transposed": _load_matrix(2, transposed=True),
    "load_matrix4_transposed": _load_matrix(4, transposed=True),
    "copy_async": """\
template <typename T> __device__ inline void copy_async(T *target, const T *source, bool wanted) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
      :: "r"((unsigned)__cvta_generic_to_shared(target)), "l"(__cvta_generic_to_global(source)),
         "r"(wanted ? 16 : 0) : "memory");
#else
  *reinterpret_cast<uint4 *>(target) = wanted ? *reinterpret_cast<const uint4 *>(source) : uint4{0, 0, 0, 0};
#endif
}""",
    "commit_copies": """\
__device__ inline void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}""",
    "wait_copies": """\
template <int PENDING> __device__ inline void wait_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" :: "n"(PENDING) : "memory");
#endif
}""",
}
"""Functions in whose place the emulation has its own, which watch memory and threads."""


def _pack(dtype: str, convert: str) -> str:
    """Two numbers as halves of a word: one instruction where there is one."""
    return f"""\
__device__ inline int pack_{dtype}(float low, float high) {{
#if __CUDA_ARCH__ >= 800
  int word;
  asm("cvt.rn.{dtype}x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
#else
  return (int)({convert}(low) | (unsigned){convert}(high) << 16);
#endif
}}"""


_DOT = """\
__device__ inline int dot_DTYPE(int one, int other, int total) {
#ifdef FLOWC_EMULATION
  for (int byte = 0; byte < 32; byte += 8)
    total = (int)((unsigned)total + (unsigned)((KIND)(one >> byte) * (KIND)(other >> byte)));
#else
  asm("dp4a.TYPE.TYPE %0, %1, %2, %0;" : "+r"(total) : "r"(one), "r"(other));
#endif
  return total;
}"""


def _dot(dtype: str, kind: str, type_: str) -> str:
    return _DOT.replace("DTYPE", dtype).replace("KIND", kind).replace("TYPE", type_)


PLAIN: dict[str, str] = {
    "dot_i8": _dot("i8", "signed char", "s32"),
    "dot_u8": _dot("u8", "unsigned char", "u32"),
    "least": "template <typename T> __device__ inline T least(T a, T b) { return b < a ? b : a; }",
    "greatest": "template <typename T> __device__ inline T greatest(T a, T b) { return a < b ? b : a; }",
    "step": """\
template <typename T> __device__ inline T step(T extent) { return T(extent > 1) - T(extent < 1); }""",
    "floor_divide": """\
template <typename T> __device__ inline T floor_divide(T a, T b) { return a / b - T(a % b < 0); }""",
    "bfloat_to_float": """\
__device__ inline float bfloat_to_float(unsigned short bits) {
  return __int_as_float((int)((unsigned)bits << 16));
}""",
    "float_to_bfloat": """\
__device__ inline unsigned short float_to_bfloat(float value) {
  const unsigned bits = (unsigned)__float_as_int(value);
  const unsigned rounded = value != value ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u);
  return (unsigned short)(rounded >> 16);
}""",
    "pack_f16": _pack("f16", "float_to_half"),
    "pack_bf16": _pack("bf16", "float_to_bfloat"),
    "exp2_quick": """\
// Off by at most two units in the last place; 0 where that would be less than the least normal number.
__device__ inline float exp2_quick(float value) {
#ifdef __CUDA_ARCH__
  asm("ex2.approx.ftz.f32 %0, %0;" : "+f"(value));
  return value;
#else
  const float power = exp2f(value);
  return power < 1.17549435e-38f ? 0.0f : power;
#endif
}""",
    "to_odd": """\
// Rounded to odd, so that a second rounding, to half a float, is the only one that shows.
__device__ inline float to_odd(double value) {
  const float near = (float)value;
  const int bits = __float_as_int(near);
  const bool inexact = (double)near < value || (double)near > value;
  return __int_as_float((bits - (fabs((double)near) > fabs(value))) | inexact);
}""",
    "same_bits": """\
template <typename T, typename S> __device__ inline T same_bits(S source) {
  static_assert(sizeof(T) == sizeof(S), "as many bits");
  union { S from; T to; } both = {source};
  return both.to;
}""",
}
"""Functions of plain C++."""

_NEEDS: dict[str, tuple[str, ...]] = {
    "atomic_minimum": ("minimum",),
    "atomic_maximum": ("maximum",),
    "multiply_bf16": ("lane",),
    "pack_f16": ("float_to_half",),
    "pack_bf16": ("float_to_bfloat",),
}


def preamble(called: Iterable[str]) -> str:
    """The definitions of these functions and of those that they call, in an order that compiles."""
    wanted = set(called)
    for name in called:
        wanted.update(_NEEDS.get(name, ()))
        if name in ("load", "store") or name.startswith(("multiply_", "load_matrix")):
            wanted.add("vec")
    plain = [text for name, text in PLAIN.items() if name in wanted]
    own = [text for name, text in DEVICE.items() if name in wanted]
    parts = [_HEAD]
    if own:
        parts.append("\n".join(["#ifndef FLOWC_EMULATION", "namespace flowc {", *own, "}", "#endif", ""]))
    if plain:
        parts.append("\n".join(["namespace flowc {", *plain, "}", ""]))
    return "\n".join(parts)
