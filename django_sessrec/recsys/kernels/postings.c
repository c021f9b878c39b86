/* Posting lists of a log: for each item the sessions that hold it, newest first. A counting sort, so that a
 * fresh index costs two passes over the clicks, and no memory besides what it gives and two numbers a row.
 *
 * Every array belongs to the caller. */

#include <stdint.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef struct {
    int32_t session;
    int32_t position; /* of the item's last click in that session */
} Posting;

/* ends[i + 1]: sessions that hold row i, added to what is there. latest: (n_rows,) of -1. */
EXPORT void sessrec_postings_count(
    const int32_t *items, const int64_t *offsets, int64_t n_sessions, int32_t *latest, int64_t *ends) {
    for (int64_t s = 0; s < n_sessions; s++)
        for (int64_t click = offsets[s]; click < offsets[s + 1]; click++) {
            if (latest[items[click]] == s) continue;
            latest[items[click]] = (int32_t)s;
            ends[items[click] + 1]++;
        }
}

/* Write the postings of row i from next[i] on, which moves to their end. latest: (n_rows,) of -1. */
EXPORT void sessrec_postings_fill(
    const int32_t *items, const int64_t *offsets, int64_t n_sessions, int32_t *latest, int64_t *next, Posting *postings) {
    for (int64_t s = n_sessions - 1; s >= 0; s--)
        for (int64_t click = offsets[s + 1] - 1; click >= offsets[s]; click--) {
            if (latest[items[click]] == s) continue;
            latest[items[click]] = (int32_t)s;
            postings[next[items[click]]++] = (Posting){(int32_t)s, (int32_t)(click - offsets[s])};
        }
}
