/* What the floors share: vectors of sixteen floats, the exponential, and sums over a vector's lanes. */
#pragma once
#ifndef __AVX512F__
#error "the floors are written for AVX-512"
#endif
#include <immintrin.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef __m512 vec;
#define LANES 16
#define ALWAYS static inline __attribute__((always_inline))

ALWAYS vec splat(float x) { return _mm512_set1_ps(x); }
ALWAYS vec load(const float *p) { return _mm512_loadu_ps(p); }
ALWAYS float sum_lanes(vec a) { return _mm512_reduce_add_ps(a); }

ALWAYS void store(float *p, vec a, long streaming) {
    if (streaming)
        _mm512_stream_ps(p, a);
    else
        _mm512_storeu_ps(p, a);
}

/* exp(x): x = n ln 2 + r, a polynomial of degree 6 in r (Cody and Waite's split), and 2^n by scaling. */
ALWAYS vec exponential(vec x) {
    x = _mm512_min_ps(_mm512_max_ps(x, splat(-87.3f)), splat(88.7f));
    vec n = _mm512_roundscale_ps(_mm512_mul_ps(x, splat(1.44269504f)), 0);
    vec r = _mm512_fnmadd_ps(n, splat(0.693145752f), x);
    r = _mm512_fnmadd_ps(n, splat(1.42860677e-6f), r);
    vec p = splat(1.0f / 720);
    p = _mm512_fmadd_ps(p, r, splat(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, splat(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, splat(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, splat(0.5f));
    p = _mm512_fmadd_ps(p, r, splat(1.0f));
    p = _mm512_fmadd_ps(p, r, splat(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* The part [*low, *high) of `count` that this thread of the team does, in multiples of `unit`. */
ALWAYS void share(long count, long unit, long *low, long *high) {
    long threads = omp_get_num_threads(), id = omp_get_thread_num();
    long part = (count / threads / unit) * unit;
    *low = id * part;
    *high = id == threads - 1 ? count : *low + part;
}
