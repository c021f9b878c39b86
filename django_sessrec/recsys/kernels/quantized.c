/* The rows of a table whose products with a query are largest, found in a copy of the table in bytes, and the
 * logarithm of what e to the power of all products adds up to.
 *
 * Row i of the table is scale[i] * codes[i] and what rounding left of it, of length residual * scale[i] at
 * most. So its product is known up to an error that is known, too, and only rows that may be among the best
 * are multiplied in full: the answer is that of multiplying all. quantized.py makes the bytes and the bounds.
 *
 * Every array belongs to the caller; any number of threads may call at once. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { BLOCK = 256, LANES = 8, TOO_MANY = -1 };

typedef struct {
    const int8_t *codes;  /* (n_rows, size) */
    const float *scale;   /* (n_rows,) */
    const float *vectors; /* (n_rows, size), the table itself */
    int32_t n_rows, size;
} Table;

typedef struct {
    const int16_t *codes; /* (size,), the query is unit * codes */
    const float *vector;  /* (size,), in full */
    float unit;
    float error;          /* a row's product is known up to error * scale[i] */
} Query;

/* Of the query with n rows from `first` on. */
typedef void Products(const Table *t, const int16_t *query, int64_t first, int64_t n, int32_t *found);

/* What e to the power of each of n products, less `highest`, adds up to over those listed; n: BLOCK at most. */
typedef float Powers(const float *products, const uint8_t *listed, int64_t n, float highest);

static inline __attribute__((always_inline)) void products_of(
    const Table *t, const int16_t *query, int64_t first, int64_t n, int32_t *found) {
    const int32_t size = t->size;
    const int8_t *row = t->codes + first * size;
    for (int64_t i = 0; i < n; i++, row += size) {
        int32_t sum = 0;
        for (int32_t d = 0; d < size; d++) sum += (int16_t)row[d] * query[d];
        found[i] = sum;
    }
}

/* In an order that is the same with and without AVX2. No listed product is above `highest`. 2^f on [-1/2, 1/2]
 * is its Taylor series, right to a float's last digits; 2^n is put together from its bits, and 0 below -126. */
static inline __attribute__((always_inline)) float powers_of(
    const float *products, const uint8_t *listed, int64_t n, float highest) {
    static const float ROUNDING = 12582912.0f; /* 1.5 * 2^23: what is added to it is rounded to whole numbers */
    float power[BLOCK] = {0}, sum[LANES] = {0};
    for (int64_t i = 0; i < n; i++) {
        float x = (products[i] - highest) * 1.44269504f, whole = (x + ROUNDING) - ROUNDING;
        float f = (x - whole) * 0.69314718f, of_f, of_whole;
        int32_t exponent = (int32_t)whole + 127, bits; /* bounded as whole numbers, which compilers vectorize */
        exponent = exponent > 0 ? exponent : 0;
        bits = (exponent < 254 ? exponent : 254) * (1 << 23);
        of_f = 1.0f + f * (1.0f + f * (0.5f + f * (1 / 6.0f + f * (1 / 24.0f + f * (1 / 120.0f + f * (1 / 720.0f))))));
        memcpy(&of_whole, &bits, sizeof bits);
        power[i] = of_f * of_whole * (float)listed[i];
    }
    for (int32_t i = 0; i < BLOCK; i += LANES)
        for (int32_t lane = 0; lane < LANES; lane++) sum[lane] += power[i + lane];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static void products_anywhere(
    const Table *t, const int16_t *query, int64_t first, int64_t n, int32_t *found) {
    products_of(t, query, first, n, found);
}

static float powers_anywhere(const float *products, const uint8_t *listed, int64_t n, float highest) {
    return powers_of(products, listed, n, highest);
}

static Products *products = products_anywhere;
static Powers *powers = powers_anywhere;

#if defined(__x86_64__) && defined(__GNUC__)
/* Without AVX2, gcc's code takes a third longer here, and clang's, which is Zig's, two to five times. With it,
 * a million rows of 128 take as long as their bytes take to come from memory. */
#include <cpuid.h>

__attribute__((target("avx2"))) static void products_avx2(
    const Table *t, const int16_t *query, int64_t first, int64_t n, int32_t *found) {
    products_of(t, query, first, n, found);
}

__attribute__((target("avx2"))) static float powers_avx2(
    const float *products, const uint8_t *listed, int64_t n, float highest) {
    return powers_of(products, listed, n, highest);
}

/* Asked by hand, for not every compiler brings what __builtin_cpu_supports needs. */
__attribute__((constructor)) static void use_avx2_where_processor_and_system_have_it(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return;
    products = products_avx2;
    powers = powers_avx2;
}
#endif

/* In an order that is the same for every row: equal rows have equal products. */
static float in_full(const float *row, const float *query, int32_t size) {
    float sum[8] = {0};
    int32_t d = 0;
    for (; d + 8 <= size; d += 8)
        for (int32_t lane = 0; lane < 8; lane++) sum[lane] += row[d + lane] * query[d + lane];
    for (; d < size; d++) sum[d % 8] += row[d] * query[d];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* Put `value` into the heap of the k largest so far, least first, in the least one's place. */
static void replace_least(float *heap, int64_t k, float value) {
    int64_t place = 0;
    for (int64_t child; (child = 2 * place + 1) < k; place = child) {
        if (child + 1 < k && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= value) break;
        heap[place] = heap[child];
    }
    heap[place] = value;
}

/* Those of n candidates that may still be among the best, in their order. */
static int64_t contenders(int32_t *rows, float *at_most, int64_t n, float bound) {
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        if (at_most[i] < bound) continue;
        rows[kept] = rows[i];
        at_most[kept++] = at_most[i];
    }
    return kept;
}

/* Rows among which the k best of those `listed` are, ascending, and their products. Their number, or TOO_MANY
 * where bytes don't tell them apart well enough. rows, scores: room for more than k; least: (k,) of -inf.
 * log_partition: NULL, or where to write log(sum(exp(product))) over the listed rows: of those found in full, of
 * all others by bytes. */
EXPORT int64_t sessrec_nearest(
    const Table *t, const Query *q, const uint8_t *listed, int32_t k, float *least,
    int64_t room, int32_t *rows, float *scores, float *log_partition) {
    int32_t found[BLOCK];
    float product[BLOCK], highest = -INFINITY;
    double powers_of_all = 0.0;
    int64_t n = 0;
    for (int64_t first = 0; first < t->n_rows; first += BLOCK) {
        int64_t size = t->n_rows - first < BLOCK ? t->n_rows - first : BLOCK;
        const float *scale = t->scale + first;
        int any = 0;
        products(t, q->codes, first, size, found);
        for (int64_t i = 0; i < size; i++) {
            product[i] = scale[i] * (q->unit * (float)found[i]);
            any |= product[i] + scale[i] * q->error >= least[0];
        }
        float before = highest;
        for (int64_t i = 0; any && i < size; i++) {
            float error = scale[i] * q->error, at_most = product[i] + error, at_least = product[i] - error;
            if (!(at_most >= least[0]) || !listed[first + i]) continue;
            if (n == room && (n = contenders(rows, scores, n, least[0])) > room / 2) return TOO_MANY;
            rows[n] = (int32_t)(first + i);
            scores[n++] = at_most;
            if (at_least > least[0]) replace_least(least, k, at_least);
            if (product[i] > highest) highest = product[i];
        }
        if (!log_partition || highest == -INFINITY) continue;
        if (highest > before) powers_of_all *= exp((double)before - highest);
        powers_of_all += powers(product, listed + first, size, highest);
    }
    n = contenders(rows, scores, n, least[0]);
    double others = powers_of_all, found_in_full = 0.0;
    for (int64_t i = 0; i < n; i++) {
        float by_bytes = scores[i] - t->scale[rows[i]] * q->error;
        scores[i] = in_full(t->vectors + (int64_t)rows[i] * t->size, q->vector, t->size);
        if (!log_partition) continue;
        others -= exp((double)by_bytes - highest);
        found_in_full += exp((double)scores[i] - highest);
    }
    if (log_partition) *log_partition = (float)(highest + log((others > 0.0 ? others : 0.0) + found_in_full));
    return n;
}
