/* One pass over many rows or elements: similarity to one query, int8 scores, group sums, histograms. */
#include "vectors.h"

/* a . b and a . a, reading ahead far enough that memory never waits. */
ALWAYS void similarity(const float *a, const float *b, long width, float *product, float *square) {
    vec p0 = splat(0), p1 = p0, q0 = p0, q1 = p0;
    for (long i = 0; i < width; i += 32) {
        vec x0 = load(a + i), x1 = load(a + i + 16);
        p0 = _mm512_fmadd_ps(x0, load(b + i), p0);
        p1 = _mm512_fmadd_ps(x1, load(b + i + 16), p1);
        q0 = _mm512_fmadd_ps(x0, x0, q0);
        q1 = _mm512_fmadd_ps(x1, x1, q1);
        _mm_prefetch((const char *)(a + i + 2048), _MM_HINT_T0);
        _mm_prefetch((const char *)(a + i + 2064), _MM_HINT_T0);
    }
    *product = sum_lanes(_mm512_add_ps(p0, p1));
    *square = sum_lanes(_mm512_add_ps(q0, q1));
}

void cosine(const float *corpus, const float *query, float *out, long rows, long width, long threads) {
    float ignored, length;
    similarity(query, query, width, &ignored, &length);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++) {
        float product, square;
        similarity(corpus + row * width, query, width, &product, &square);
        out[row] = product / sqrtf(square * length);
    }
}

/* The k best of each thread, kept in falling order; then the best of all. */
void cosine_best(const float *corpus, const float *query, float *out, long rows, long width, long k, long threads) {
    float ignored, length, kept[threads * k];
    similarity(query, query, width, &ignored, &length);
    for (long i = 0; i < threads * k; i++)
        kept[i] = -2;
#pragma omp parallel num_threads(threads)
    {
        float *best = kept + omp_get_thread_num() * k;
#pragma omp for schedule(static)
        for (long row = 0; row < rows; row++) {
            float product, square;
            similarity(corpus + row * width, query, width, &product, &square);
            float score = product / sqrtf(square * length);
            if (score > best[k - 1]) {
                long place = k - 1;
                for (; place > 0 && best[place - 1] < score; place--)
                    best[place] = best[place - 1];
                best[place] = score;
            }
        }
    }
    for (long i = 0; i < k; i++) {
        long largest = 0;
        for (long j = 1; j < threads * k; j++)
            if (kept[j] > kept[largest])
                largest = j;
        out[i] = kept[largest];
        kept[largest] = -3;
    }
}

/* The dot instruction takes unsigned by signed bytes: 128 is added to each element and taken off the sum. */
void bytes_dot(const int8_t *corpus, const int8_t *query, int32_t *out, long rows, long width, long threads) {
    int32_t correction = 0;
    for (long i = 0; i < width; i++)
        correction += 128 * query[i];
    __m512i flip = _mm512_set1_epi8((char)0x80);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long row = 0; row < rows; row++) {
        const int8_t *p = corpus + row * width;
        __m512i s0 = _mm512_setzero_si512(), s1 = s0;
        for (long i = 0; i < width; i += 128) {
            __m512i x0 = _mm512_xor_si512(_mm512_loadu_si512(p + i), flip);
            __m512i x1 = _mm512_xor_si512(_mm512_loadu_si512(p + i + 64), flip);
            s0 = _mm512_dpbusd_epi32(s0, x0, _mm512_loadu_si512(query + i));
            s1 = _mm512_dpbusd_epi32(s1, x1, _mm512_loadu_si512(query + i + 64));
            _mm_prefetch((const char *)(p + i + 4096), _MM_HINT_T0);
            _mm_prefetch((const char *)(p + i + 4160), _MM_HINT_T0);
        }
        out[row] = _mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1)) - correction;
    }
}

/* Four tables a thread, so that equal neighbouring keys do not wait for each other's store. */
void group_sum(const int32_t *keys, const float *values, float *out, long count, long groups, long threads) {
    float *tables = calloc(threads * 4 * groups, sizeof(float));
#pragma omp parallel num_threads(threads)
    {
        long low, high;
        share(count, 4, &low, &high);
        float *t = tables + omp_get_thread_num() * 4 * groups;
        long i = low;
        for (; i + 4 <= high; i += 4)
            for (int j = 0; j < 4; j++)
                t[j * groups + keys[i + j]] += values[i + j];
        for (; i < high; i++)
            t[keys[i]] += values[i];
    }
    for (long g = 0; g < groups; g++) {
        float total = 0;
        for (long t = 0; t < threads * 4; t++)
            total += tables[t * groups + g];
        out[g] = total;
    }
    free(tables);
}

/* Bins of sixteen elements at once, outside ones in a bin that nobody reads; eight tables a thread. */
void histogram(const float *values, int64_t *out, long count, long bins, float least, float most, long threads) {
    long stride = (bins + 16) / 16 * 16;
    int32_t *tables = aligned_alloc(64, threads * 8 * stride * sizeof(int32_t));
    memset(tables, 0, threads * 8 * stride * sizeof(int32_t));
    float factor = bins / (most - least);
#pragma omp parallel num_threads(threads)
    {
        long low, high;
        share(count, LANES, &low, &high);
        int32_t *t = tables + omp_get_thread_num() * 8 * stride;
        int32_t places[LANES] __attribute__((aligned(64)));
        long i = low;
        for (; i + LANES <= high; i += LANES) {
            vec x = load(values + i);
            __mmask16 inside = _mm512_cmp_ps_mask(x, splat(least), _CMP_GE_OQ) &
                               _mm512_cmp_ps_mask(x, splat(most), _CMP_LE_OQ);
            __m512i bin = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_sub_ps(x, splat(least)), splat(factor)));
            bin = _mm512_min_epi32(bin, _mm512_set1_epi32(bins - 1));
            _mm512_store_si512(places, _mm512_mask_blend_epi32(inside, _mm512_set1_epi32(stride - 1), bin));
            for (int j = 0; j < LANES; j++)
                t[(j & 7) * stride + places[j]]++;
        }
        for (; i < high; i++)
            if (values[i] >= least && values[i] <= most) {
                long bin = (values[i] - least) * factor;
                t[bin < bins ? bin : bins - 1]++;
            }
    }
    for (long b = 0; b < bins; b++) {
        out[b] = 0;
        for (long t = 0; t < threads * 8; t++)
            out[b] += tables[t * stride + b];
    }
    free(tables);
}
