/* lib/load/simulate.c - see simulate.h. */
#include "lib/load/simulate.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include <math.h>
#include <stdlib.h>

/* Batches among which one is drawn: those of the same fit, else the nearest, a twentieth of
 * all and so many at most. */
enum { NEAR_MOST = 48, NEAR_SHARE = 20 };
#define SAME_FIT 1e-9

struct seen_batch {
    double fitted_s, seconds;
};

struct simulation {
    const struct simulated_server *server;
    struct seen_batch *near; /* by fitted_s */
    size_t near_count;
    struct philox_key key;
    uint64_t drawn;
    int64_t
        *used; /* per adapter: the last batch it was in, from 1; 0: it is not loaded */
    int32_t *waiting; /* per adapter: requests that have come and are not taken */
    size_t adapters, loaded;
    size_t come; /* requests so far */
    int64_t batch;
};

static int by_fit(const void *a, const void *b)
{
    const struct seen_batch *x = a, *y = b;
    return (x->fitted_s > y->fitted_s) - (x->fitted_s < y->fitted_s);
}

static void prepare(struct simulation *m, const struct simulated_server *s,
                    const struct planned_request *plan, size_t count)
{
    *m = (struct simulation){.server = s, .key = rng_key(s->seed, "batch times")};
    m->near = xcalloc(s->seen_count + 1, sizeof *m->near);
    for (size_t i = 0; i < s->seen_count; i++) {
        const double fitted = batch_times_of(&s->times, &s->seen[i]);
        if (fitted > 0)
            m->near[m->near_count++] = (struct seen_batch){fitted, s->seen[i].seconds};
    }
    qsort(m->near, m->near_count, sizeof *m->near, by_fit);
    for (size_t i = 0; i < count; i++)
        if (plan[i].adapter >= m->adapters)
            m->adapters = (size_t)plan[i].adapter + 1;
    m->used = xcalloc(m->adapters + 1, sizeof *m->used);
    m->waiting = xcalloc(m->adapters + 1, sizeof *m->waiting);
    for (size_t a = 0; a < m->adapters && a < s->loaded; a++, m->loaded++)
        m->used[a] = 1;
    m->batch = 1;
}

/* The first that is not fitted to less. */
static size_t place_of(const struct simulation *m, double fitted_s)
{
    size_t low = 0, high = m->near_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (m->near[middle].fitted_s < fitted_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static double draw_seconds(struct simulation *m, const struct batch_seen *b)
{
    const double fitted = batch_times_of(&m->server->times, b);
    const size_t n = m->near_count;
    if (!n)
        return fitted;
    const size_t wanted = n / NEAR_SHARE < NEAR_MOST ? n / NEAR_SHARE + 1 : NEAR_MOST;
    size_t from = place_of(m, fitted * (1 - SAME_FIT)),
           to = place_of(m, fitted * (1 + SAME_FIT));
    while (to - from < wanted && (from || to < n)) {
        from -= from > 0;
        to += to < n;
    }
    const struct seen_batch *one =
        &m->near[from + (size_t)rng_below(&m->key, m->drawn++, 0, to - from)];
    return one->seconds > one->fitted_s ? fitted + one->seconds - one->fitted_s
                                        : fitted * one->seconds / one->fitted_s;
}

static void let_come(struct simulation *m, const struct planned_request *plan,
                     size_t count, double until_s)
{
    for (; m->come < count && plan[m->come].at_s <= until_s; m->come++)
        m->waiting[plan[m->come].adapter]++;
}

/* Those that somebody waits for stay. */
static void evict(struct simulation *m)
{
    const size_t slots = m->server->slots, none = m->adapters;
    while (slots && m->loaded > slots) {
        size_t oldest = none;
        for (size_t a = 0; a < m->adapters; a++)
            if (m->used[a] && !m->waiting[a] &&
                (oldest == none || m->used[a] < m->used[oldest]))
                oldest = a;
        if (oldest == none)
            return;
        m->used[oldest] = 0;
        m->loaded--;
    }
}

/* Takes from `first` on what fits and has come; returns behind the last. */
static size_t take(struct simulation *m, const struct planned_request *plan, size_t first,
                   const int32_t *tokens, struct load_record *records,
                   struct batch_seen *b)
{
    const struct simulated_server *s = m->server;
    size_t i = first;
    *b = (struct batch_seen){0};
    m->batch++;
    for (; i < m->come && b->rows < s->max_rows; i++) {
        const int32_t n = tokens[plan[i].text];
        int64_t *used = &m->used[plan[i].adapter];
        if (b->rows && b->tokens + n > s->max_tokens)
            break;
        b->rows++;
        b->tokens += n;
        b->adapters += *used != m->batch;
        records[i].cold = !*used;
        b->cold += !*used;
        m->loaded += !*used;
        *used = m->batch;
        m->waiting[plan[i].adapter]--;
    }
    return i;
}

static void finish(const struct simulation *m, const struct planned_request *plan,
                   size_t first, size_t end, double begin_s, double seconds,
                   const int32_t *tokens, struct load_record *records)
{
    for (size_t i = first; i < end; i++)
        records[i] =
            (struct load_record){.intended_s = plan[i].at_s,
                                 .sent_s = plan[i].at_s,
                                 .done_s = begin_s + seconds + m->server->overhead_s,
                                 .queue_s = begin_s - plan[i].at_s,
                                 .run_s = seconds,
                                 .first_s = NAN,
                                 .adapter = plan[i].adapter,
                                 .text = plan[i].text,
                                 .tokens = (uint32_t)tokens[plan[i].text],
                                 .done = true,
                                 .ok = true,
                                 .cold = records[i].cold};
}

void load_simulate(const struct simulated_server *s, const struct planned_request *plan,
                   size_t count, const int32_t *tokens, struct load_record *records)
{
    struct simulation m;
    double free_s = 0;
    prepare(&m, s, plan, count);
    for (size_t i = 0; i < count;) {
        struct batch_seen b;
        const double begin = fmax(free_s, plan[i].at_s) + s->wait_s;
        let_come(&m, plan, count, begin);
        const size_t end = take(&m, plan, i, tokens, records, &b);
        const double seconds = draw_seconds(&m, &b);
        finish(&m, plan, i, end, begin, seconds, tokens, records);
        free_s = begin + seconds;
        let_come(&m, plan, count, free_s);
        evict(&m);
        i = end;
    }
    free(m.near);
    free(m.used);
    free(m.waiting);
}
