/* Candidates for a session and their features: what the ranker reads. One kernel serves training and pages
 * alike, so that the two can't disagree. features.py names the features and says what each of them means.
 *
 * Every array belongs to the caller. Work is bounded by the limits below and those of the neighbour models,
 * never by the session's length. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "features.h" /* written by hatch_build.py from features.py */

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef struct Model Model; /* of neighbours.c */
int64_t sessrec_neighbours_score(const Model *, const int32_t *, int64_t, float *, int32_t *);

enum {
    SOURCES = NEIGHBOUR_MODELS + 1, /* the network is the last; of it CANDIDATES are listed */
    LISTED = 150,                   /* of each neighbour model, by score */
    CLICKS = 8,                     /* distinct clicks, newest first, whose co-clicks are counted */
    COMPARED = 10,                  /* distinct clicks whose vectors are compared */
    REACH = 50,                     /* clicks before and after that count as co-clicks */
    LOOKED_BACK = 200,              /* clicks of an endless session */
};

static const float VOTE[SOURCES] = {1.0f, 0.5f, 0.5f, 1.5f};
static const float LATELY_DAYS = 14.0f, NEVER = 6.0f;

typedef struct {
    int32_t session;
    int32_t position; /* of the item's last click in that session */
} Posting;

typedef struct {
    const Model *neighbour_models[NEIGHBOUR_MODELS];
    const int32_t *items; /* clicks of session s: items[offsets[s]] to items[offsets[s + 1] - 1] */
    const int64_t *offsets;
    const Posting *postings; /* of row i: from posting_offsets[i], newest session first */
    const int64_t *posting_offsets;
    const float *age_days;      /* by session */
    const float *recency;       /* by session: what its co-clicks count */
    const float *item_features; /* (n_rows, ITEM_FEATURES) */
    const float *vectors;       /* (n_rows, size) of the network's items */
    const float *norms;         /* by row: the length of its vector, above 0 */
    const uint8_t *listed;      /* by row: whether it may be ranked */
    int32_t n_rows, size, sessions_of_last, sessions_of_others;
} CandidateFeatures;

/* What the network says of a session. */
typedef struct {
    const float *vector; /* (size,): an item's score is the product with its vector */
    const int32_t *rows; /* (n,) its best, best first; CANDIDATES at most */
    const float *scores;
    int32_t n;
    float log_partition; /* log(sum(exp(score))) over all rows that may be ranked */
} Proposals;

typedef struct {
    float value;
    int32_t row;
} Scored;

typedef struct {
    float next, previous, after, before, together, lately, newest;
} CoClicks;

typedef struct {
    const CandidateFeatures *data;
    const int32_t *session;
    int64_t length;
    const Proposals *network;
    float *scores;    /* scratch (NEIGHBOUR_MODELS, n_rows), zeros between queries */
    int32_t *touched; /* scratch (NEIGHBOUR_MODELS, n_rows) */
    int32_t *slot;    /* scratch (n_rows,), zeros between queries: place in `candidates`, from 1 */
    int64_t n_touched[NEIGHBOUR_MODELS];
    float total[NEIGHBOUR_MODELS];
    Scored list[SOURCES][LISTED];
    int32_t listed[SOURCES];
    Scored candidates[SOURCES * LISTED + COMPARED];
    int32_t n_candidates;
    int32_t clicks[COMPARED]; /* distinct, newest first */
    int32_t n_clicks;
    float *features; /* (CANDIDATES, FEATURES) */
} Query;

static float *of(const Query *q, int32_t candidate) { return q->features + (int64_t)candidate * FEATURES; }

static float *votes_of(const Query *q, int32_t model) {
    return q->scores + (int64_t)model * q->data->n_rows;
}

static int may_be_ranked(const Query *q, int32_t row) { return q->data->listed[row]; }

/* In eight lanes, which the compiler may keep in one register. */
static float dot(const float *a, const float *b, int32_t size) {
    float lanes[8] = {0}, sum = 0.0f;
    int32_t i = 0;
    for (; i + 8 <= size; i += 8)
        for (int32_t lane = 0; lane < 8; lane++) lanes[lane] += a[i + lane] * b[i + lane];
    for (; i < size; i++) sum += a[i] * b[i];
    for (int32_t lane = 0; lane < 8; lane++) sum += lanes[lane];
    return sum;
}

static const float *vector_of(const CandidateFeatures *data, int32_t row) {
    return data->vectors + (int64_t)row * data->size;
}

static float sessions_with(const CandidateFeatures *data, int32_t row) {
    return (float)(data->posting_offsets[row + 1] - data->posting_offsets[row]);
}

static int better(const Scored *a, const Scored *b) {
    return a->value > b->value || (a->value == b->value && a->row < b->row);
}

static int best_first(const void *a, const void *b) { return better(b, a) - better(a, b); }

/* Keep the best `capacity` of a stream in a heap whose first is the worst kept. */
static void offer(Scored *heap, int32_t *n, int32_t capacity, float value, int32_t row) {
    Scored new = {value, row};
    int32_t i = 0, child;
    if (*n < capacity) {
        for (i = (*n)++; i > 0 && better(&heap[(i - 1) / 2], &new); i = (i - 1) / 2)
            heap[i] = heap[(i - 1) / 2];
    } else if (better(&new, &heap[0])) {
        for (; (child = 2 * i + 1) < capacity; i = child) {
            if (child + 1 < capacity && better(&heap[child], &heap[child + 1])) child++;
            if (!better(&new, &heap[child])) break;
            heap[i] = heap[child];
        }
    } else {
        return;
    }
    heap[i] = new;
}

static void find_clicks(Query *q) {
    for (int64_t gap = 0; gap < q->length && gap < LOOKED_BACK && q->n_clicks < COMPARED; gap++) {
        int32_t row = q->session[q->length - 1 - gap], c = 0;
        while (c < q->n_clicks && q->clicks[c] != row) c++;
        if (c == q->n_clicks) q->clicks[q->n_clicks++] = row;
    }
}

/* What each neighbour model and the network would show; 0, or the error of neighbours.c. */
static int64_t ask_sources(Query *q) {
    int32_t n_rows = q->data->n_rows;
    for (int32_t m = 0; m < NEIGHBOUR_MODELS; m++) {
        float *scores = votes_of(q, m);
        int32_t *rows = q->touched + (int64_t)m * n_rows;
        int64_t n = sessrec_neighbours_score(q->data->neighbour_models[m], q->session, q->length, scores, rows);
        if (n < 0) return n;
        q->n_touched[m] = n;
        for (int64_t t = 0; t < n; t++) {
            if (!may_be_ranked(q, rows[t])) continue;
            q->total[m] += scores[rows[t]];
            offer(q->list[m], &q->listed[m], LISTED, scores[rows[t]], rows[t]);
        }
    }
    for (int32_t i = 0; i < q->network->n; i++)
        q->list[NEIGHBOUR_MODELS][i] = (Scored){q->network->scores[i], q->network->rows[i]};
    q->listed[NEIGHBOUR_MODELS] = q->network->n;
    return 0;
}

static void vote_for(Query *q, int32_t row, float votes) {
    if (!q->slot[row]) {
        q->candidates[q->n_candidates] = (Scored){0.0f, row};
        q->slot[row] = ++q->n_candidates;
    }
    q->candidates[q->slot[row] - 1].value += votes;
}

/* The union of all lists by reciprocal rank; the session's own items always stay. */
static void choose_candidates(Query *q) {
    for (int32_t s = 0; s < SOURCES; s++) {
        qsort(q->list[s], (size_t)q->listed[s], sizeof(Scored), best_first);
        for (int32_t i = 0; i < q->listed[s]; i++)
            vote_for(q, q->list[s][i].row, VOTE[s] / (13.0f + (float)i));
    }
    for (int32_t c = 0; c < q->n_clicks; c++)
        if (may_be_ranked(q, q->clicks[c])) vote_for(q, q->clicks[c], 1.0f);
    for (int32_t i = 0; i < q->n_candidates; i++) q->slot[q->candidates[i].row] = 0;
    qsort(q->candidates, (size_t)q->n_candidates, sizeof(Scored), best_first);
    if (q->n_candidates > CANDIDATES) q->n_candidates = CANDIDATES;
    for (int32_t i = 0; i < q->n_candidates; i++) q->slot[q->candidates[i].row] = i + 1;
}

static float score_of_network(const Query *q, int32_t row) {
    return dot(vector_of(q->data, row), q->network->vector, q->data->size);
}

static void describe_sources(Query *q) {
    float best_votes = q->listed[0] ? q->list[0][0].value : 0.0f;
    float best_of_network = score_of_network(q, q->network->rows[0]);
    for (int32_t i = 0; i < q->n_candidates; i++) {
        int32_t row = q->candidates[i].row;
        float *f = of(q, i);
        for (int32_t m = 0; m < NEIGHBOUR_MODELS; m++)
            f[SHARE_LONG + m] = logf(votes_of(q, m)[row] / (q->total[m] + 1e-12f) + 1e-5f);
        f[AGAINST_BEST] = q->scores[row] / (best_votes + 1e-12f);
        float score = score_of_network(q, row);
        f[NETWORK] = score - q->network->log_partition;
        f[NETWORK_AGAINST_BEST] = score - best_of_network;
    }
}

/* Where the candidates stood in the newest sessions that hold `row`; co[i] for candidate i. */
static void count_co_clicks(const Query *q, int32_t row, int64_t sessions, CoClicks *co) {
    const CandidateFeatures *data = q->data;
    const Posting *posting = data->postings + data->posting_offsets[row];
    const Posting *end = data->postings + data->posting_offsets[row + 1];
    if (end - posting > sessions) end = posting + sessions;
    memset(co, 0, CANDIDATES * sizeof *co);
    for (; posting < end; posting++) {
        const int32_t *items = data->items + data->offsets[posting->session];
        int64_t length = data->offsets[posting->session + 1] - data->offsets[posting->session];
        int64_t p = posting->position;
        int64_t last = p + REACH < length ? p + REACH : length - 1;
        float recency = data->recency[posting->session], age = data->age_days[posting->session];
        for (int64_t other = p > REACH ? p - REACH : 0; other <= last; other++) {
            if (!q->slot[items[other]] || other == p) continue;
            CoClicks *c = &co[q->slot[items[other]] - 1];
            float near = recency / (1.0f + 0.4f * (float)(llabs(other - p) - 1));
            *(other > p ? &c->after : &c->before) += near;
            if (other == p + 1) c->next += recency;
            if (other == p - 1) c->previous += recency;
            if (c->together == 0.0f) c->newest = age; /* the newest session comes first */
            c->together += 1.0f;
            c->lately += age <= LATELY_DAYS;
        }
    }
}

static void describe_co_clicks(Query *q) {
    CoClicks co[CANDIDATES];
    float older[CANDIDATES] = {0};
    int32_t clicks = q->n_clicks < CLICKS ? q->n_clicks : CLICKS;
    for (int32_t c = 0; c < clicks; c++) {
        int64_t sessions = c ? q->data->sessions_of_others : q->data->sessions_of_last;
        float with_click = sessions_with(q->data, q->clicks[c]);
        count_co_clicks(q, q->clicks[c], sessions, co);
        for (int32_t i = 0; i < q->n_candidates; i++) {
            float *f = of(q, i), around = co[i].after + co[i].before;
            if (c >= CLOSE_CLICKS) {
                older[i] += around * expf((float)(CLOSE_CLICKS - c) / 3.0f);
                continue;
            }
            float *of_click = f + PREVIOUS_LAST + CO_CLICKS * c;
            of_click[PREVIOUS] = log1pf(co[i].previous);
            of_click[AFTER] = log1pf(co[i].after);
            of_click[BEFORE] = log1pf(co[i].before);
            of_click[RATE] = logf((around + 0.02f) / (with_click + 2.0f));
            if (c) continue;
            f[NEXT_LAST] = log1pf(co[i].next);
            f[NEXT_RATE] = logf((co[i].next + 0.02f) / (with_click + 2.0f));
            f[TOGETHER_LATELY] = log1pf(co[i].lately);
            f[SINCE_TOGETHER] = co[i].together > 0.0f ? logf(0.1f + co[i].newest) : NEVER;
            f[BACK_RATE] = logf((around + 0.02f) / (sessions_with(q->data, q->candidates[i].row) + 2.0f));
        }
    }
    for (int32_t i = 0; i < q->n_candidates; i++) of(q, i)[OLDER_CO_CLICKS] = log1pf(older[i]);
}

/* Whether the click so many before the last was on an item clicked before it. */
static int went_back(const Query *q, int64_t gap, int64_t seen) {
    const int32_t *click = q->session + q->length - 1 - gap;
    for (int64_t before = 1; before < seen - gap; before++)
        if (click[-before] == *click) return 1;
    return 0;
}

static void describe_session(Query *q) {
    const CandidateFeatures *data = q->data;
    int64_t seen = q->length < LOOKED_BACK ? q->length : LOOKED_BACK;
    float returns = 0.0f, last_returned = (float)went_back(q, 0, seen);
    for (int64_t gap = seen - 1; gap >= 0; gap--) {
        int32_t i = q->slot[q->session[q->length - 1 - gap]] - 1;
        float nearness = 1.0f / (1.0f + (float)gap);
        returns += (float)went_back(q, gap, seen);
        if (i < 0) continue;
        if (of(q, i)[OCCURRENCES] == 0.0f) of(q, i)[FIRST_NEARNESS] = nearness;
        of(q, i)[OCCURRENCES] += 1.0f;
        of(q, i)[NEARNESS] = nearness;
        of(q, i)[IS_CLICKED] = 1.0f;
    }
    returns /= seen > 1 ? (float)(seen - 1) : 1.0f;
    for (int32_t i = 0; i < q->n_candidates; i++) {
        float *f = of(q, i);
        int32_t row = q->candidates[i].row;
        const float *own = vector_of(data, row);
        memcpy(f + COUNT, data->item_features + (int64_t)row * ITEM_FEATURES, ITEM_FEATURES * sizeof *f);
        f[LENGTH] = logf((float)q->length);
        f[DISTINCT] = logf((float)q->n_clicks);
        f[RETURNS] = returns;
        f[LAST_RETURNED] = last_returned;
        f[BEST_COSINE] = -1.0f;
        for (int32_t c = 0; c < q->n_clicks; c++) {
            int32_t click = q->clicks[c];
            float cosine = dot(own, vector_of(data, click), data->size) / (data->norms[row] * data->norms[click]);
            if (c < CLOSE_CLICKS) f[COSINE_LAST + c] = cosine;
            if (click != row && cosine > f[BEST_COSINE]) f[BEST_COSINE] = cosine;
        }
    }
}

static void clear_scratch(Query *q) {
    for (int32_t i = 0; i < q->n_candidates; i++) q->slot[q->candidates[i].row] = 0;
    for (int32_t m = 0; m < NEIGHBOUR_MODELS; m++) {
        const int32_t *rows = q->touched + (int64_t)m * q->data->n_rows;
        for (int64_t t = 0; t < q->n_touched[m]; t++) votes_of(q, m)[rows[t]] = 0.0f;
    }
}

/* Write up to CANDIDATES rows, most promising first, and their features; returns their number, or an
 * error of neighbours.c. session: (length,) rows, at least one. */
EXPORT int64_t sessrec_candidate_features(
    const CandidateFeatures *data, const int32_t *session, int64_t length, const Proposals *network, float *scores,
    int32_t *touched, int32_t *slot, int32_t *rows, float *features) {
    Query q = {.data = data, .session = session, .length = length, .network = network,
               .scores = scores, .touched = touched, .slot = slot, .features = features};
    int64_t error = ask_sources(&q);
    if (error == 0) {
        find_clicks(&q);
        choose_candidates(&q);
        memset(features, 0, CANDIDATES * FEATURES * sizeof *features);
        describe_sources(&q);
        describe_co_clicks(&q);
        describe_session(&q);
        for (int32_t i = 0; i < q.n_candidates; i++) rows[i] = q.candidates[i].row;
    }
    clear_scratch(&q);
    return error ? error : q.n_candidates;
}
