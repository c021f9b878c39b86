/* Session neighbours: from the clicks of a session to scored items, by way of the past sessions that
 * share them. The formula is in neighbours.py, a plain NumPy version of it in tests/recsys/oracle.py.
 *
 * Every array belongs to the caller. Work memory is taken and given back within a call, so any number
 * of threads may call at once. Work is bounded by the model's limits, never by the session's length. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { MAX_CLICKS = 32, OUT_OF_MEMORY = -1, BAD_ROW = -2 };

typedef struct {
    int32_t session;
    int32_t position; /* of the item's last click in that session */
} Posting;

typedef struct {
    const int32_t *items;           /* clicks of session s: items[offsets[s]] to items[offsets[s + 1] - 1] */
    const int64_t *offsets;
    const Posting *postings;        /* of row i: from posting_offsets[i], newest session first */
    const int64_t *posting_offsets;
    const float *session_weight;    /* by session: its age and length */
    const float *click_weight;      /* by row: how much a click on it says */
    const float *gap_weight;        /* by clicks made since, 0 to window - 1 */
    const float *distance_weight;   /* by clicks from the match, -reach to reach, from index 0 */
    const float *item_weight;       /* by row: how much a recommendation of it is worth */
    const float *weights;           /* by click: how much it teaches; NULL where all teach alike */
    int32_t n_rows, window, reach, clicks, sessions_per_item, neighbours;
} Model;

typedef struct {
    int32_t session;
    int32_t match;   /* position of the newest click of the query that the session shares */
    float weight;
    uint32_t shared; /* bit c: the query's c-th newest distinct item is in the session */
} Neighbour;

typedef struct {
    int32_t count;
    int32_t row[MAX_CLICKS];
    float weight[MAX_CLICKS];
} Clicks;

/* The newest distinct items of the session; 0, or BAD_ROW. */
static int distinct_clicks(const Model *m, const int32_t *session, int64_t length, Clicks *found) {
    found->count = 0;
    for (int64_t gap = 0; gap < length && gap < m->window && found->count < m->clicks; gap++) {
        int32_t row = session[length - 1 - gap];
        int32_t c = 0;
        if (row < 1 || row >= m->n_rows) return BAD_ROW;
        while (c < found->count && found->row[c] != row) c++;
        if (c < found->count) continue;
        found->row[c] = row;
        found->weight[c] = m->gap_weight[gap] * m->click_weight[row];
        found->count++;
    }
    return 0;
}

static int64_t postings_read(const Model *m, int32_t row) {
    int64_t all = m->posting_offsets[row + 1] - m->posting_offsets[row];
    return all < m->sessions_per_item ? all : m->sessions_per_item;
}

static int stronger(const Neighbour *a, const Neighbour *b) {
    return a->weight > b->weight || (a->weight == b->weight && a->session > b->session);
}

/* Move the `wanted` strongest of n to the front, in any order (Hoare's quickselect). */
static void select_strongest(Neighbour *all, int64_t n, int64_t wanted) {
    int64_t low = 0, high = n - 1;
    while (low < high) {
        Neighbour pivot = all[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (stronger(&all[i], &pivot)) i++;
            while (stronger(&pivot, &all[j])) j--;
            if (i <= j) {
                Neighbour swapped = all[i];
                all[i++] = all[j];
                all[j--] = swapped;
            }
        }
        if (wanted - 1 <= j) high = j;
        else if (wanted - 1 >= i) low = i;
        else return;
    }
}

/* The sessions nearest to these clicks; their number, or OUT_OF_MEMORY. The caller frees *nearest. */
static int64_t find_neighbours(const Model *m, const Clicks *clicks, Neighbour **nearest) {
    int64_t most = 0, n = 0;
    uint32_t slots = 16;
    for (int32_t c = 0; c < clicks->count; c++) most += postings_read(m, clicks->row[c]);
    while (slots < 2 * most) slots *= 2;
    Neighbour *all = malloc((size_t)(most + 1) * sizeof *all);
    int32_t *place = malloc(slots * sizeof *place); /* hash table: session -> its index in all */
    *nearest = all;
    if (!all || !place) {
        free(place);
        return OUT_OF_MEMORY;
    }
    memset(place, -1, slots * sizeof *place);
    for (int32_t c = 0; c < clicks->count; c++) {
        const Posting *posting = m->postings + m->posting_offsets[clicks->row[c]];
        const Posting *end = posting + postings_read(m, clicks->row[c]);
        for (; posting < end; posting++) {
            uint32_t slot = (uint32_t)posting->session * 2654435769u & (slots - 1);
            while (place[slot] >= 0 && all[place[slot]].session != posting->session)
                slot = (slot + 1) & (slots - 1);
            if (place[slot] < 0) {
                place[slot] = (int32_t)n;
                all[n++] = (Neighbour){posting->session, posting->position, 0.0f, 0};
            }
            all[place[slot]].weight += clicks->weight[c];
            all[place[slot]].shared |= UINT32_C(1) << c;
        }
    }
    free(place);
    for (int64_t i = 0; i < n; i++) all[i].weight *= m->session_weight[all[i].session];
    if (n <= m->neighbours) return n;
    select_strongest(all, n, m->neighbours);
    return m->neighbours;
}

/* The clicks of a neighbour within reach of its match: [*first, *last] as positions in its session. */
static const int32_t *within_reach(const Model *m, const Neighbour *near, int64_t *first, int64_t *last) {
    int64_t length = m->offsets[near->session + 1] - m->offsets[near->session];
    *first = near->match > m->reach ? near->match - m->reach : 0;
    *last = near->match + (int64_t)m->reach < length ? near->match + (int64_t)m->reach : length - 1;
    return m->items + m->offsets[near->session];
}

/* What the click at position p of a neighbour's session gets of `worth`. */
static float gain_of(const Model *m, const Neighbour *near, int64_t p, float worth) {
    float gain = worth * m->distance_weight[m->reach + p - near->match];
    return m->weights ? gain * m->weights[m->offsets[near->session] + p] : gain;
}

/* Add every item's score to `scores` (n_rows zeros), list the rows scored in `touched` (room for n_rows).
 * Returns their number, OUT_OF_MEMORY or BAD_ROW. */
EXPORT int64_t sessrec_neighbours_score(
    const Model *m, const int32_t *session, int64_t length, float *scores, int32_t *touched) {
    Clicks clicks;
    Neighbour *nearest = NULL;
    int64_t n_touched = 0, first, last;
    if (distinct_clicks(m, session, length, &clicks) < 0) return BAD_ROW;
    int64_t n = find_neighbours(m, &clicks, &nearest);
    for (int64_t i = 0; i < n; i++) {
        const int32_t *items = within_reach(m, &nearest[i], &first, &last);
        for (int64_t p = first; p <= last; p++) {
            float gain = gain_of(m, &nearest[i], p, nearest[i].weight);
            if (!(gain > 0.0f)) continue; /* so that a score of 0 means: not yet touched */
            if (scores[items[p]] == 0.0f) touched[n_touched++] = items[p];
            scores[items[p]] += gain;
        }
    }
    for (int64_t t = 0; t < n_touched; t++) scores[touched[t]] *= m->item_weight[touched[t]];
    free(nearest);
    return n < 0 ? n : n_touched;
}

static int better(const float *scores, int32_t a, int32_t b) {
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

/* Let rows[at] sink in a heap of n rows whose worst is on top. */
static void sink(const float *scores, int32_t *rows, int64_t n, int64_t at) {
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && better(scores, rows[child], rows[child + 1])) child++;
        if (better(scores, rows[child], rows[at])) return;
        int32_t swapped = rows[at];
        rows[at] = rows[child];
        rows[child] = swapped;
    }
}

/* As sessrec_neighbours_score, but only the best k, best first, ties by lower row: their rows in `touched`,
 * their scores in `best` (room for k); `scores` is all zeros again. The n_excluded rows are left out. */
EXPORT int64_t sessrec_neighbours_top(
    const Model *m, const int32_t *session, int64_t length, float *scores, int32_t *touched,
    const int32_t *excluded, int64_t n_excluded, int64_t k, float *best) {
    int64_t n = sessrec_neighbours_score(m, session, length, scores, touched), kept = 0;
    for (int64_t e = 0; e < n_excluded; e++)
        if (excluded[e] > 0 && excluded[e] < m->n_rows) scores[excluded[e]] = 0.0f;
    for (int64_t t = 0; t < n; t++) {
        int32_t row = touched[t];
        if (!(scores[row] > 0.0f)) continue;
        if (kept < k) {
            touched[kept++] = row; /* never beyond t, which is read already */
            if (kept == k)
                for (int64_t i = k / 2; i-- > 0;) sink(scores, touched, k, i);
        } else if (k > 0 && better(scores, row, touched[0])) {
            scores[touched[0]] = 0.0f;
            touched[0] = row;
            sink(scores, touched, k, 0);
        } else scores[row] = 0.0f;
    }
    if (kept < k)
        for (int64_t i = kept / 2; i-- > 0;) sink(scores, touched, kept, i);
    for (int64_t last = kept - 1; last > 0; last--) {
        int32_t worst = touched[0];
        touched[0] = touched[last];
        touched[last] = worst;
        sink(scores, touched, last, 0);
    }
    for (int64_t t = 0; t < kept; t++) {
        best[t] = scores[touched[t]];
        scores[touched[t]] = 0.0f;
    }
    return n < 0 ? n : kept;
}

/* The clicks that spoke for each of n_rows `rows`, strongest first, ties by the newer one: in
 * clicked[r * MAX_CLICKS] and after, ended by a 0; sessions[r * MAX_CLICKS] and after, zeros before, are the
 * neighbours with both that click and the row. shares[r * MAX_CLICKS] and after is work space of zeros.
 * Returns 0, OUT_OF_MEMORY or BAD_ROW. */
EXPORT int64_t sessrec_neighbours_explain(
    const Model *m, const int32_t *session, int64_t length, const int32_t *rows, int64_t n_rows,
    int32_t *clicked, int32_t *sessions, float *shares) {
    Clicks clicks;
    Neighbour *nearest = NULL;
    int64_t first, last;
    uint8_t asked[256] = {0}; /* by the last byte of a row: most rows of the neighbours are not asked for */
    if (distinct_clicks(m, session, length, &clicks) < 0) return BAD_ROW;
    for (int64_t r = 0; r < n_rows; r++) asked[rows[r] & 255] = 1;
    int64_t n = find_neighbours(m, &clicks, &nearest);
    int64_t *counted = calloc((size_t)(n_rows + 1), sizeof *counted); /* by row: the last neighbour with it */
    if (!counted) n = OUT_OF_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        const int32_t *items = within_reach(m, &nearest[i], &first, &last);
        for (int64_t p = first; p <= last; p++) {
            if (!asked[items[p] & 255]) continue;
            float gain = gain_of(m, &nearest[i], p, m->session_weight[nearest[i].session]);
            for (int64_t r = 0; r < n_rows; r++) {
                if (items[p] != rows[r] || !(gain > 0.0f)) continue;
                int32_t is_new = counted[r] != i + 1;
                counted[r] = i + 1;
                for (int32_t c = 0; c < clicks.count; c++) {
                    if (!(nearest[i].shared >> c & 1)) continue;
                    shares[r * MAX_CLICKS + c] += clicks.weight[c] * gain;
                    sessions[r * MAX_CLICKS + c] += is_new;
                }
            }
        }
    }
    free(counted);
    free(nearest);
    for (int64_t r = 0; n >= 0 && r < n_rows; r++) {
        float *share = shares + r * MAX_CLICKS;
        int32_t *found = clicked + r * MAX_CLICKS, *count = sessions + r * MAX_CLICKS, strongest;
        int32_t by_click[MAX_CLICKS];
        memcpy(by_click, count, sizeof by_click);
        for (int32_t place = 0; place < clicks.count; place++) {
            strongest = 0;
            for (int32_t c = 1; c < clicks.count; c++)
                if (share[c] > share[strongest]) strongest = c;
            if (!(share[strongest] > 0.0f)) break;
            found[place] = clicks.row[strongest];
            count[place] = by_click[strongest];
            share[strongest] = 0.0f;
        }
    }
    return n < 0 ? n : 0;
}

/* A checksum of the C files this library was compiled from: a stale library is found at import. */
EXPORT uint32_t sessrec_sources(void) { return SESSREC_SOURCES; }
