"""Names that a kernel's own values must not have, since C++, CUDA or the emulation's headers give them a
meaning."""

_LANGUAGE = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl
const const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit
export extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq
nullptr operator or or_eq private protected public register reinterpret_cast return short signed sizeof
static static_assert static_cast struct switch template this thread_local throw true try typedef typeid
typename typeof union unsigned using virtual void volatile wchar_t while xor xor_eq main std
"""
_OURS = "flowc idx uidx blockIdx threadIdx gridDim blockDim warpSize"
_MACROS = """
NULL EOF BUFSIZ RAND_MAX EXIT_FAILURE EXIT_SUCCESS errno assert stdin stdout stderr signbit isnan isinf
isfinite isnormal fpclassify isgreater isless isunordered INFINITY NAN HUGE_VAL HUGE_VALF FP_NAN
FP_INFINITE FP_ZERO major minor makedev unix linux i386 min max
"""
_MATHEMATICS = """
sqrt floor ceil trunc rint copysign fabs fma fmod pow exp exp2 expm1 log log2 log10 log1p sin cos tan asin
acos atan atan2 sinh cosh tanh asinh acosh atanh erf cbrt
"""
"""Functions of one name for f64, and with an f behind it for f32."""

RESERVED = frozenset(
    [
        *_LANGUAGE.split(),
        *_OURS.split(),
        *_MACROS.split(),
        *_MATHEMATICS.split(),
        *(f"{name}f" for name in _MATHEMATICS.split()),
    ]
)
