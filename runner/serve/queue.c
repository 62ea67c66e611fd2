/* runner/serve/queue.c - see queue.h. */
#include "runner/serve/queue.h"
#include <math.h>
#include <stdlib.h>

void engine_request_free(struct engine_request *r)
{
    for (size_t i = 0; r && i < r->count; i++) {
        free(r->rows[i].example.ids);
        free(r->rows[i].example.type_ids);
        free(r->rows[i].logits);
    }
    if (r)
        free(r->rows);
    free(r);
}

int32_t queue_row_tokens(const struct engine_row *row)
{
    return row->example.n + (row->adapter->resident
                                 ? row->adapter->guest.mould->net.change.prompt_rows
                                 : 0);
}

/* --- putting --- */

/* What waits, or some of it. */
struct backlog {
    size_t rows;
    int64_t tokens;
};

/* Of a request what is not taken yet. */
static void add_request(struct backlog *b, const struct engine_request *r)
{
    b->rows += r->count - r->next;
    for (size_t i = r->next; i < r->count; i++)
        b->tokens += r->rows[i].example.n;
}

static double seconds_of(const struct queue *q, const struct backlog *b)
{
    const struct extent *most = &q->options.batch;
    const double by_rows = ceil((double)b->rows / most->of[ROWS_SEQUENCES]),
                 by_tokens = ceil((double)b->tokens / most->of[ROWS_TOKENS]);
    return pace_of(&q->pace, fmax(by_rows, by_tokens), b->tokens);
}

static bool comes_before(const struct engine_request *a, const struct engine_request *b)
{
    return a->rank_s != b->rank_s ? a->rank_s < b->rank_s : a->number < b->number;
}

/* Behind which of those that wait; NULL: it is the first. */
static struct engine_request *find_place(const struct queue *q,
                                         const struct engine_request *r)
{
    if (q->last && comes_before(q->last, r))
        return q->last;
    struct engine_request *before = NULL;
    for (struct engine_request *at = q->first; at && comes_before(at, r); at = at->after)
        before = at;
    return before;
}

static void insert(struct queue *q, struct engine_request *r,
                   struct engine_request *before)
{
    struct engine_request **at = before ? &before->after : &q->first;
    r->after = *at;
    *at = r;
    if (!r->after)
        q->last = r;
}

/* What is taken before a request that would stand behind `before`. */
static struct backlog ahead_of(const struct queue *q, const struct engine_request *before)
{
    struct backlog b = {q->rows, q->tokens};
    if (before == q->last)
        return b;
    b = (struct backlog){0};
    for (const struct engine_request *at = q->first; before; at = at->after) {
        add_request(&b, at);
        if (at == before)
            break;
    }
    return b;
}

static int check_wait(const struct queue *q, const struct engine_request *r,
                      struct backlog ahead, double *retry_s, struct err *err)
{
    const double wait = seconds_of(q, &ahead), most = q->options.most_wait_s;
    const size_t rows = ahead.rows;
    *retry_s = wait;
    if (q->rows + r->count > q->options.most_rows)
        return err_set(err, ERR_BUSY,
                       "%zu rows wait, which takes %.3g s; with the %zu of this request "
                       "they would be more than %zu",
                       q->rows,
                       *retry_s = seconds_of(q, &(struct backlog){q->rows, q->tokens}),
                       r->count, q->options.most_rows);
    if (most > 0 && wait > most)
        return err_set(err, ERR_BUSY, "%zu rows wait, which takes %.3g s", rows, wait);
    if (!q->rows)
        return 0;
    add_request(&ahead, r);
    const double answer = seconds_of(q, &ahead);
    if (r->limit_s > 0 && answer > r->limit_s)
        return err_set(err, ERR_BUSY,
                       "%zu rows wait; the answer would take %.3g s, its limit is %.3g s",
                       rows, answer, r->limit_s);
    return 0;
}

int queue_put(struct queue *q, struct engine_request *r, double now_s, double *retry_s,
              struct err *err)
{
    const double most = q->options.most_wait_s;
    r->put_s = now_s;
    r->next = 0;
    r->left = r->count;
    r->rank_s = now_s + (r->limit_s > 0 ? r->limit_s
                         : most > 0     ? most
                                        : QUEUE_PATIENCE_S);
    r->number = q->number;
    struct engine_request *before = find_place(q, r);
    const int rc = check_wait(q, r, ahead_of(q, before), retry_s, err);
    if (rc)
        return rc;
    struct backlog all = {q->rows, q->tokens};
    add_request(&all, r);
    q->rows = all.rows;
    q->tokens = all.tokens;
    q->number++;
    insert(q, r, before);
    return 0;
}

/* --- taking --- */

struct taking {
    struct queue *queue;
    struct queue_pick *picks;
    size_t count;
    int64_t tokens;
};

static void leave(struct queue *q, struct engine_request *r,
                  struct engine_request *before)
{
    *(before ? &before->after : &q->first) = r->after;
    if (q->last == r)
        q->last = before;
}

static bool is_full(const struct taking *t, const struct engine_row *row)
{
    const struct extent *most = &t->queue->options.batch;
    return t->count >= (size_t)most->of[ROWS_SEQUENCES] ||
           (t->count && t->tokens + queue_row_tokens(row) > most->of[ROWS_TOKENS]);
}

/* Would its adapter have more than its share of the batch? One row it may always have. */
static bool is_too_much(const struct taking *t, const struct engine_row *row)
{
    const struct queue_options *o = &t->queue->options;
    size_t rows = 0;
    int64_t tokens = queue_row_tokens(row);
    for (size_t i = 0; i < t->count; i++) {
        const struct engine_row *other = &t->picks[i].request->rows[t->picks[i].row];
        if (other->adapter == row->adapter) {
            rows++;
            tokens += queue_row_tokens(other);
        }
    }
    return rows && ((double)(rows + 1) > o->share * o->batch.of[ROWS_SEQUENCES] ||
                    (double)tokens > o->share * o->batch.of[ROWS_TOKENS]);
}

/* In order; with `shared` what is too much of an adapter is passed over. False: the batch is
 * full. */
static bool take_rows(struct taking *t, bool shared)
{
    struct queue *q = t->queue;
    struct engine_request *before = NULL, *next;
    for (struct engine_request *r = q->first; r; r = next) {
        next = r->after;
        while (r->next < r->count) {
            const struct engine_row *row = &r->rows[r->next];
            if (is_full(t, row))
                return false;
            if (shared && is_too_much(t, row))
                break;
            t->tokens += queue_row_tokens(row);
            q->rows--;
            q->tokens -= row->example.n;
            t->picks[t->count++] = (struct queue_pick){r, r->next++};
        }
        if (r->next == r->count)
            leave(q, r, before);
        else
            before = r;
    }
    return true;
}

size_t queue_take(struct queue *q, struct queue_pick *out)
{
    struct taking t = {.queue = q, .picks = out};
    if (!(q->options.share > 0) || take_rows(&t, true))
        take_rows(&t, false);
    return t.count;
}

void queue_put_back(struct queue *q, const struct queue_pick *pick)
{
    struct engine_request *r = pick->request;
    if (r->next == r->count)
        insert(q, r, find_place(q, r));
    r->next--;
    q->rows++;
    q->tokens += r->rows[pick->row].example.n;
}

struct engine_request *queue_take_late(struct queue *q, double now_s)
{
    struct engine_request *late = NULL, **end = &late, *before = NULL, *next;
    for (struct engine_request *r = q->first; r && r->rank_s < now_s; r = next) {
        next = r->after;
        if (!(r->limit_s > 0)) {
            before = r;
            continue;
        }
        struct backlog own = {0};
        add_request(&own, r);
        q->rows -= own.rows;
        q->tokens -= own.tokens;
        leave(q, r, before);
        r->after = NULL;
        *end = r;
        end = &r->after;
    }
    return late;
}
