/* gelu, softmax and layer norm: one sweep over memory, rows kept in cache. */
#include "vectors.h"

/* The tanh form is x sigmoid(2u), u = s (x + c x^3): one exponential and one division. */
void gelu(const float *a, const float *b, const float *c, float *out, long count, long threads, long streaming) {
#pragma omp parallel num_threads(threads)
    {
        long low, high;
        share(count, LANES, &low, &high);
        for (long i = low; i + LANES <= high; i += LANES) {
            vec x = _mm512_fmadd_ps(load(a + i), load(b + i), load(c + i));
            vec slope = _mm512_fmadd_ps(_mm512_mul_ps(x, x), splat(-0.0713548163f), splat(-1.59576912f));
            vec power = exponential(_mm512_mul_ps(x, slope));
            store(out + i, _mm512_div_ps(x, _mm512_add_ps(power, splat(1.0f))), streaming);
        }
        for (long i = high - high % LANES; i < high; i++) {
            float x = a[i] * b[i] + c[i];
            out[i] = x / (1.0f + expf(x * (-1.59576912f - 0.0713548163f * x * x)));
        }
        _mm_sfence();
    }
}

void softmax(const float *x, float *out, long rows, long columns, long threads, long streaming) {
#pragma omp parallel num_threads(threads)
    {
        float *kept = aligned_alloc(64, columns * sizeof(float));
#pragma omp for schedule(static)
        for (long row = 0; row < rows; row++) {
            const float *p = x + row * columns;
            vec m0 = load(p), m1 = m0;
            for (long i = 0; i < columns; i += 32) {
                m0 = _mm512_max_ps(m0, load(p + i));
                m1 = _mm512_max_ps(m1, load(p + i + 16));
            }
            vec largest = splat(_mm512_reduce_max_ps(_mm512_max_ps(m0, m1)));
            vec s0 = splat(0), s1 = s0;
            for (long i = 0; i < columns; i += 32) {
                vec e0 = exponential(_mm512_sub_ps(load(p + i), largest));
                vec e1 = exponential(_mm512_sub_ps(load(p + i + 16), largest));
                _mm512_store_ps(kept + i, e0);
                _mm512_store_ps(kept + i + 16, e1);
                s0 = _mm512_add_ps(s0, e0);
                s1 = _mm512_add_ps(s1, e1);
            }
            vec factor = splat(1.0f / sum_lanes(_mm512_add_ps(s0, s1)));
            for (long i = 0; i < columns; i += 16)
                store(out + row * columns + i, _mm512_mul_ps(_mm512_load_ps(kept + i), factor), streaming);
        }
        free(kept);
        _mm_sfence();
    }
}

void layernorm(const float *x, const float *gain, const float *shift, float *out, long rows, long columns,
               long threads, long streaming) {
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (long row = 0; row < rows; row++) {
            const float *p = x + row * columns;
            vec s0 = splat(0), s1 = s0;
            for (long i = 0; i < columns; i += 32) {
                s0 = _mm512_add_ps(s0, load(p + i));
                s1 = _mm512_add_ps(s1, load(p + i + 16));
            }
            vec mean = splat(sum_lanes(_mm512_add_ps(s0, s1)) / columns);
            vec v0 = splat(0), v1 = v0;
            for (long i = 0; i < columns; i += 32) {
                vec d0 = _mm512_sub_ps(load(p + i), mean), d1 = _mm512_sub_ps(load(p + i + 16), mean);
                v0 = _mm512_fmadd_ps(d0, d0, v0);
                v1 = _mm512_fmadd_ps(d1, d1, v1);
            }
            vec factor = splat(1.0f / sqrtf(sum_lanes(_mm512_add_ps(v0, v1)) / columns + 1e-5f));
            for (long i = 0; i < columns; i += 16) {
                vec scaled = _mm512_mul_ps(_mm512_sub_ps(load(p + i), mean), factor);
                store(out + row * columns + i, _mm512_fmadd_ps(scaled, load(gain + i), load(shift + i)), streaming);
            }
        }
        _mm_sfence();
    }
}
