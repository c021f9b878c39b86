/* The rows of a table whose products with a query are largest, found in a copy of the table in bytes.
 *
 * Row i of the table is scale[i] * codes[i] and what rounding left of it, of length residual * scale[i] at
 * most. So its product is known up to an error that is known, too, and only rows that may be among the best
 * are multiplied in full: the answer is that of multiplying all. quantized.py makes the bytes and the bounds.
 *
 * Every array belongs to the caller; any number of threads may call at once. */

#include <stdint.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { BLOCK = 256, TOO_MANY = -1 };

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

static void products_anywhere(
    const Table *t, const int16_t *query, int64_t first, int64_t n, int32_t *found) {
    products_of(t, query, first, n, found);
}

static Products *products = products_anywhere;

#if defined(__x86_64__) && defined(__GNUC__)
/* Without AVX2, gcc's code takes a third longer here, and clang's, which is Zig's, two to five times. */
#include <cpuid.h>

__attribute__((target("avx2"))) static void products_avx2(
    const Table *t, const int16_t *query, int64_t first, int64_t n, int32_t *found) {
    products_of(t, query, first, n, found);
}

/* Asked by hand, for not every compiler brings what __builtin_cpu_supports needs. */
__attribute__((constructor)) static void use_avx2_where_processor_and_system_have_it(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2)) products = products_avx2;
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
 * where bytes don't tell them apart well enough. rows, scores: room for more than k; least: (k,) of -inf. */
EXPORT int64_t sessrec_nearest(
    const Table *t, const Query *q, const uint8_t *listed, int32_t k, float *least,
    int64_t room, int32_t *rows, float *scores) {
    int32_t found[BLOCK];
    int64_t n = 0;
    for (int64_t first = 0; first < t->n_rows; first += BLOCK) {
        int64_t size = t->n_rows - first < BLOCK ? t->n_rows - first : BLOCK;
        const float *scale = t->scale + first;
        int any = 0;
        products(t, q->codes, first, size, found);
        for (int64_t i = 0; i < size; i++) any |= scale[i] * (q->unit * (float)found[i] + q->error) >= least[0];
        for (int64_t i = 0; any && i < size; i++) {
            float product = q->unit * (float)found[i], at_most = scale[i] * (product + q->error);
            float at_least = scale[i] * (product - q->error);
            if (!(at_most >= least[0]) || !listed[first + i]) continue;
            if (n == room && (n = contenders(rows, scores, n, least[0])) > room / 2) return TOO_MANY;
            rows[n] = (int32_t)(first + i);
            scores[n++] = at_most;
            if (at_least > least[0]) replace_least(least, k, at_least);
        }
    }
    n = contenders(rows, scores, n, least[0]);
    for (int64_t i = 0; i < n; i++)
        scores[i] = in_full(t->vectors + (int64_t)rows[i] * t->size, q->vector, t->size);
    return n;
}
