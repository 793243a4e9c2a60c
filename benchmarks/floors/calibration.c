/* What memory and arithmetic units give to loops that do nothing else. */
#include "vectors.h"

static volatile float sink;

void read_all(const float *a, long count, long threads) {
    float total = 0;
#pragma omp parallel num_threads(threads) reduction(+ : total)
    {
        long low, high;
        share(count, 64, &low, &high);
        vec s0 = splat(0), s1 = s0, s2 = s0, s3 = s0;
        for (long i = low; i + 64 <= high; i += 64) {
            s0 = _mm512_add_ps(s0, load(a + i));
            s1 = _mm512_add_ps(s1, load(a + i + 16));
            s2 = _mm512_add_ps(s2, load(a + i + 32));
            s3 = _mm512_add_ps(s3, load(a + i + 48));
        }
        total += sum_lanes(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
    }
    sink = total;
}

void copy(const float *a, float *out, long count, long threads, long streaming) {
#pragma omp parallel num_threads(threads)
    {
        long low, high;
        share(count, LANES, &low, &high);
        for (long i = low; i + LANES <= high; i += LANES) {
            store(out + i, load(a + i), streaming);
            __asm__ volatile("" ::: "memory"); /* or the compiler makes a call of memcpy of it */
        }
        _mm_sfence();
    }
}

void triad(const float *a, const float *b, float *out, long count, long threads, long streaming) {
#pragma omp parallel num_threads(threads)
    {
        long low, high;
        share(count, LANES, &low, &high);
        for (long i = low; i + LANES <= high; i += LANES)
            store(out + i, _mm512_fmadd_ps(load(a + i), splat(3.0f), load(b + i)), streaming);
        _mm_sfence();
    }
}

void multiply_add(long steps, long threads) {
    float total = 0;
#pragma omp parallel num_threads(threads) reduction(+ : total)
    {
        vec x[16], factor = splat(0.999f), term = splat(0.001f);
        for (int i = 0; i < 16; i++)
            x[i] = splat(i);
        for (long step = 0; step < steps; step++) {
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                x[i] = _mm512_fmadd_ps(x[i], factor, term);
        }
        for (int i = 0; i < 16; i++)
            total += sum_lanes(x[i]);
    }
    sink = total;
}
