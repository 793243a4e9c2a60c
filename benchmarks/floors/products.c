/* Products with a small side, finished in registers: many queries, their best, nearest centres.
 *
 * Panels of 64 columns are packed once; six rows by 64 columns of the product stay in 24 registers. */
#include "vectors.h"

#define ROWS 6
#define PANEL 64

typedef struct {
    vec part[ROWS][4];
} block;

ALWAYS void multiply(const float *a, long width, const float *panel, block *c) {
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < 4; j++)
            c->part[r][j] = splat(0);
    for (long k = 0; k < width; k++) {
        vec b[4];
        for (int j = 0; j < 4; j++)
            b[j] = _mm512_load_ps(panel + k * PANEL + j * 16);
#pragma GCC unroll 6
        for (int r = 0; r < ROWS; r++) {
            vec x = splat(a[r * width + k]);
            for (int j = 0; j < 4; j++)
                c->part[r][j] = _mm512_fmadd_ps(x, b[j], c->part[r][j]);
        }
    }
}

ALWAYS float square(const float *p, long width) {
    vec s0 = splat(0), s1 = s0;
    for (long i = 0; i < width; i += 32) {
        s0 = _mm512_fmadd_ps(load(p + i), load(p + i), s0);
        s1 = _mm512_fmadd_ps(load(p + i + 16), load(p + i + 16), s1);
    }
    return sum_lanes(_mm512_add_ps(s0, s1));
}

/* Panels of the transpose of `side` (count x width); rows scaled to length one when `unit`. */
static float *pack(const float *side, long count, long width, int unit) {
    float *packed = aligned_alloc(64, count * width * sizeof(float));
    for (long n = 0; n < count; n++) {
        float factor = unit ? 1.0f / sqrtf(square(side + n * width, width)) : 1.0f;
        float *panel = packed + n / PANEL * PANEL * width + n % PANEL;
        for (long k = 0; k < width; k++)
            panel[k * PANEL] = side[n * width + k] * factor;
    }
    return packed;
}

ALWAYS void read_ahead(const float *a, long width) {
    for (int r = 0; r < ROWS; r++)
        for (long i = 0; i < width; i += 16)
            _mm_prefetch((const char *)(a + (2 * ROWS + r) * width + i), _MM_HINT_T0);
}

/* Scores of 64 queries: [rows, 64]. The last block begins early enough to be whole. */
void cosine_many(const float *corpus, const float *queries, float *out, long rows, long width, long threads) {
    float *panel = pack(queries, PANEL, width, 1);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long b = 0; b < (rows + ROWS - 1) / ROWS; b++) {
        long row = b * ROWS + ROWS > rows ? rows - ROWS : b * ROWS;
        const float *a = corpus + row * width;
        block c;
        read_ahead(a, width);
        multiply(a, width, panel, &c);
        for (int r = 0; r < ROWS; r++) {
            vec factor = splat(1.0f / sqrtf(square(a + r * width, width)));
            for (int j = 0; j < 4; j++)
                _mm512_storeu_ps(out + (row + r) * PANEL + j * 16, _mm512_mul_ps(c.part[r][j], factor));
        }
    }
    free(panel);
}

ALWAYS void insert(float *best, long k, float score) {
    long place = k - 1;
    for (; place > 0 && best[place - 1] < score; place--)
        best[place] = best[place - 1];
    best[place] = score;
}

/* The k best scores of 64 queries: [64, k], no score ever stored. */
void cosine_many_best(const float *corpus, const float *queries, float *out, long rows, long width, long k,
                      long threads) {
    float *panel = pack(queries, PANEL, width, 1);
    float *kept = malloc(threads * PANEL * k * sizeof(float));
    for (long i = 0; i < threads * PANEL * k; i++)
        kept[i] = -2;
#pragma omp parallel num_threads(threads)
    {
        float *best = kept + omp_get_thread_num() * PANEL * k;
        float least[PANEL] __attribute__((aligned(64)));
        for (int q = 0; q < PANEL; q++)
            least[q] = -2;
#pragma omp for schedule(static)
        for (long b = 0; b < rows / ROWS; b++) {
            const float *a = corpus + b * ROWS * width;
            block c;
            read_ahead(a, width);
            multiply(a, width, panel, &c);
            for (int r = 0; r < ROWS; r++) {
                vec factor = splat(1.0f / sqrtf(square(a + r * width, width)));
                for (int j = 0; j < 4; j++) {
                    vec score = _mm512_mul_ps(c.part[r][j], factor);
                    __mmask16 better = _mm512_cmp_ps_mask(score, _mm512_load_ps(least + j * 16), _CMP_GT_OQ);
                    if (__builtin_expect(better, 0)) {
                        float scores[16] __attribute__((aligned(64)));
                        _mm512_store_ps(scores, score);
                        for (; better; better &= better - 1) {
                            int lane = __builtin_ctz(better), q = j * 16 + lane;
                            insert(best + q * k, k, scores[lane]);
                            least[q] = best[q * k + k - 1];
                        }
                    }
                }
            }
        }
    }
    for (long row = rows / ROWS * ROWS; row < rows; row++) /* the few rows of an unfinished block */
        for (int q = 0; q < PANEL; q++) {
            float product = 0, length = sqrtf(square(corpus + row * width, width));
            for (long i = 0; i < width; i++)
                product += corpus[row * width + i] * panel[i * PANEL + q];
            if (product / length > kept[q * k + k - 1])
                insert(kept + q * k, k, product / length);
        }
    for (int q = 0; q < PANEL; q++) {
        for (long t = 1; t < threads; t++)
            for (long i = 0; i < k; i++)
                if (kept[(t * PANEL + q) * k + i] > kept[q * k + k - 1])
                    insert(kept + q * k, k, kept[(t * PANEL + q) * k + i]);
        memcpy(out + q * k, kept + q * k, k * sizeof(float));
    }
    free(panel);
    free(kept);
}

/* The nearest of `centres` (a multiple of 64) to each row: the largest x . c - |c|^2 / 2. */
void nearest_centre(const float *points, const float *centres, int64_t *out, long rows, long width, long count,
                    long threads) {
    float *panels = pack(centres, count, width, 0);
    float *half = aligned_alloc(64, count * sizeof(float));
    for (long n = 0; n < count; n++)
        half[n] = 0.5f * square(centres + n * width, width);
    __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long b = 0; b < (rows + ROWS - 1) / ROWS; b++) {
        long row = b * ROWS + ROWS > rows ? rows - ROWS : b * ROWS;
        vec best[ROWS];
        __m512i place[ROWS];
        for (int r = 0; r < ROWS; r++) {
            best[r] = splat(-INFINITY);
            place[r] = _mm512_setzero_si512();
        }
        for (long n = 0; n < count; n += PANEL) {
            block c;
            multiply(points + row * width, width, panels + n * width, &c);
            for (int r = 0; r < ROWS; r++)
                for (int j = 0; j < 4; j++) {
                    vec score = _mm512_sub_ps(c.part[r][j], _mm512_load_ps(half + n + j * 16));
                    __mmask16 better = _mm512_cmp_ps_mask(score, best[r], _CMP_GT_OQ);
                    __m512i here = _mm512_add_epi32(lane, _mm512_set1_epi32(n + j * 16));
                    best[r] = _mm512_mask_mov_ps(best[r], better, score);
                    place[r] = _mm512_mask_mov_epi32(place[r], better, here);
                }
        }
        for (int r = 0; r < ROWS; r++) {
            vec largest = splat(_mm512_reduce_max_ps(best[r]));
            __mmask16 equal = _mm512_cmp_ps_mask(best[r], largest, _CMP_EQ_OQ);
            out[row + r] = _mm512_mask_reduce_min_epi32(equal, place[r]);
        }
    }
    free(panels);
    free(half);
}
