"""Conversions from and to the half formats, those of f16 also for processors without instructions for them,
where LLVM would call functions of a run-time library that is not there."""

TO_ODD = """\
define internal float @flowc.to_odd.f64(double %x) alwaysinline ATTRIBUTES {
  %r = fptrunc double %x to float
  %back = fpext float %r to double
  %inexact = fcmp one double %back, %x
  %size = call double @llvm.fabs.f64(double %x)
  %back_size = call double @llvm.fabs.f64(double %back)
  %beyond = fcmp ogt double %back_size, %size
  %bits = bitcast float %r to i32
  %one = zext i1 %beyond to i32
  %toward = sub i32 %bits, %one
  %odd = zext i1 %inexact to i32
  %result = or i32 %toward, %odd
  %value = bitcast i32 %result to float
  ret float %value
}"""
"""f64 to f32, rounded to odd, so that a second rounding to a half format is the only one that shows
(S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded sums", 2008)."""

BFLOAT = """\
define internal i16 @flowc.bfloat.f32(float %x) alwaysinline ATTRIBUTES {
  %bits = bitcast float %x to i32
  %low = lshr i32 %bits, 16
  %even = and i32 %low, 1
  %bias = add i32 %even, 32767
  %rounded = add i32 %bits, %bias
  %quiet = or i32 %bits, 4194304
  %nan = fcmp uno float %x, %x
  %chosen = select i1 %nan, i32 %quiet, i32 %rounded
  %high = lshr i32 %chosen, 16
  %value = trunc i32 %high to i16
  ret i16 %value
}"""
"""f32 to the bits of bf16, rounded to nearest even."""

FROM_HALF = """\
define internal float @flowc.half.f32(half %x) alwaysinline ATTRIBUTES {
  %value = fpext half %x to float
  ret float %value
}"""

TO_HALF = """\
define internal half @flowc.to_half.f32(float %x) alwaysinline ATTRIBUTES {
  %value = fptrunc float %x to half
  ret half %value
}"""

FROM_HALF_BY_BITS = """\
define internal float @flowc.half.f32(half %x) alwaysinline ATTRIBUTES {
  %bits = bitcast half %x to i16
  %wide = zext i16 %bits to i32
  %size = and i32 %wide, 32767
  %moved = shl i32 %size, 13
  %small = bitcast i32 %moved to float
  %scaled = fmul float %small, 0x46F0000000000000
  %finite = bitcast float %scaled to i32
  %beyond = or i32 %moved, 2139095040
  %is_finite = icmp ult i32 %size, 31744
  %chosen = select i1 %is_finite, i32 %finite, i32 %beyond
  %top = and i32 %wide, 32768
  %sign = shl i32 %top, 16
  %all = or i32 %chosen, %sign
  %value = bitcast i32 %all to float
  ret float %value
}"""
"""The exponent moves by a product with 2**112, which also makes subnormals normal."""

TO_HALF_BY_BITS = """\
define internal half @flowc.to_half.f32(float %x) alwaysinline ATTRIBUTES {
  %bits = bitcast float %x to i32
  %size = and i32 %bits, 2147483647
  %low = lshr i32 %size, 13
  %odd = and i32 %low, 1
  %moved = add i32 %size, -939520001
  %rounded = add i32 %moved, %odd
  %normal = lshr i32 %rounded, 13
  %number = bitcast i32 %size to float
  %shifted = fadd float %number, 5.0e-1
  %subnormal_bits = bitcast float %shifted to i32
  %subnormal = sub i32 %subnormal_bits, 1056964608
  %is_small = icmp ult i32 %size, 947912704
  %finite = select i1 %is_small, i32 %subnormal, i32 %normal
  %payload = and i32 %low, 511
  %nan = or i32 %payload, 32256
  %is_nan = icmp ugt i32 %size, 2139095040
  %special = select i1 %is_nan, i32 %nan, i32 31744
  %is_finite = icmp ult i32 %size, 1199570944
  %chosen = select i1 %is_finite, i32 %finite, i32 %special
  %high = lshr i32 %bits, 16
  %sign = and i32 %high, 32768
  %all = or i32 %chosen, %sign
  %narrow = trunc i32 %all to i16
  %value = bitcast i16 %narrow to half
  ret half %value
}"""
"""To nearest even: by half a unit less one, and the last bit that stays; among subnormals by adding 1/2,
whose last bit is theirs."""
