/* runner/serve/write/writing.c - see writing.h. */
#include "runner/serve/write/writing.h"
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "lib/os/proc.h"
#include <math.h>
#include <stdlib.h>

int writing_init(struct writing *w, struct shelf *shelf, const int32_t *stops,
                 size_t n_stops, struct err *err)
{
    struct session *s = &shelf->base->session;
    const size_t slots = (size_t)s->decode.sequences, width = (size_t)s->goal.num_labels;
    *w = (struct writing){.shelf = shelf,
                          .base = shelf->base,
                          .stops = stops,
                          .n_stops = n_stops,
                          .written = xcalloc(slots, sizeof *w->written),
                          .chosen = xcalloc(slots, sizeof *w->chosen),
                          .threads = pool_threads(),
                          .width = width,
                          .order = xcalloc(slots, sizeof(struct slot *)),
                          .logits = xcalloc(slots * width, sizeof *w->logits)};
    w->counts.cache_bytes = s->planned[MEM_state];
    slots_init(&w->slots, &s->decode);
    parts_init(&w->parts, w->base, slots);
    w->samplers = xcalloc((size_t)w->threads, sizeof *w->samplers);
    for (int t = 0; t < w->threads; t++)
        sampler_init(&w->samplers[t], &SAMPLING_GREEDY, width);
    return guest_open(&w->alone, w->base, NULL, "the base", err);
}

void writing_release(struct writing *w)
{
    if (w->alone.name)
        guest_close(&w->alone, w->base);
    slots_release(&w->slots);
    parts_release(&w->parts);
    for (int t = 0; t < w->threads; t++)
        sampler_release(&w->samplers[t]);
    free(w->samplers);
    free(w->chosen);
    free(w->written);
    free(w->order);
    free(w->logits);
    *w = (struct writing){0};
}

static struct written *written_at(const struct writing *w, const struct slot *slot)
{
    return &w->written[slot - w->slots.items];
}

int32_t writing_room(const struct writing *w)
{
    return w->slots.size.sequences - (int32_t)w->counts.writing;
}

size_t writing_busy(const struct writing *w, struct shelf_entry **out)
{
    size_t n = 0;
    for (int32_t i = 0; i < w->slots.size.sequences; i++)
        if (w->written[i].request)
            out[n++] = w->written[i].request->adapter;
    return n;
}

/* --- beginning --- */

static struct guest *take_guest(struct writing *w, struct writer_request *r,
                                struct err *err)
{
    if (!r->adapter)
        return &w->alone;
    if (shelf_take(w->shelf, r->adapter, &r->cold, err))
        return NULL;
    return &r->adapter->guest;
}

/* New tokens that it gets. */
static int find_most(const struct writing *w, const struct guest *g,
                     const struct writer_request *r, int32_t *most, struct err *err)
{
    const struct net *net = &g->mould->net;
    const int32_t positions = net_room(net),
                  capacity = w->slots.size.capacity - net->change.virtual_tokens,
                  room = (positions < capacity ? positions : capacity) - r->n_prompt;
    *most = r->most > 0 && r->most < room ? r->most : room;
    return room > 0 ? 0
                    : err_set(err, ERR_CONFIG,
                              "a prompt of %d tokens: '%s' has room for %d with what is "
                              "written",
                              r->n_prompt, g->name, room + r->n_prompt);
}

static int take_slot(struct writing *w, struct writer_request *r, struct guest *g,
                     struct err *err)
{
    struct generation text = {
        .prompt = r->prompt, .n_prompt = r->n_prompt, .stream = r->stream};
    int rc = find_most(w, g, r, &text.most, err);
    if (rc)
        return rc;
    struct slot *slot = slots_free(&w->slots, g->number, r->prompt, r->n_prompt);
    if (slot->owner != g->number) {
        slot->owner = 0;
        if ((rc = guest_start(g, w->base, (int32_t)(slot - w->slots.items), err)))
            return rc;
    }
    struct written *to = written_at(w, slot);
    *to = (struct written){.request = r, .guest = g, .text = text};
    slots_occupy(&w->slots, slot, &g->mould->net, g->number, &to->text);
    w->counts.writing++;
    w->counts.prompt_tokens += r->n_prompt;
    return 0;
}

bool writing_begin(struct writing *w, struct writer_request *r)
{
    r->begin_s = clock_mono_s();
    r->end = WRITER_TOLD;
    if (atomic_load(&r->unwanted))
        return false;
    struct guest *g = take_guest(w, r, &r->err);
    r->rc = g ? take_slot(w, r, g, &r->err) : err_code(&r->err);
    return !r->rc;
}

/* --- ending --- */

/* The slot is free; what it holds stays. */
static void leave(struct writing *w, struct slot *slot, enum writer_end end,
                  struct writer_request **ended)
{
    struct written *of = written_at(w, slot);
    struct writer_request *r = of->request;
    r->end = end;
    r->ids = of->text.ids;
    r->n = of->text.n;
    r->after = *ended;
    *ended = r;
    w->counts.reused_tokens += of->text.reused;
    slot->text = NULL;
    *of = (struct written){0};
    w->counts.writing--;
}

static void fail(struct writing *w, struct slot *slot, int rc, const struct err *err,
                 struct writer_request **ended)
{
    struct writer_request *r = written_at(w, slot)->request;
    r->rc = rc;
    r->err = *err;
    slot->owner = 0; /* what is there is not what it should be */
    leave(w, slot, WRITER_TOLD, ended);
}

void writing_end(struct writing *w, struct writer_request *r)
{
    w->counts.texts++;
    w->counts.late += r->late;
    w->counts.failed += r->rc != 0 && !r->late;
    if (r->adapter)
        shelf_done(w->shelf, r->adapter, 1);
}

void writer_request_release(struct writer_request *r)
{
    free(r->ids);
    r->ids = NULL;
}

/* --- a step: reading --- */

static int by_guest(const void *a, const void *b)
{
    const struct slot *x = *(struct slot *const *)a, *y = *(struct slot *const *)b;
    if (x->owner != y->owner)
        return x->owner < y->owner ? -1 : 1;
    return (x > y) - (x < y);
}

static void drop_unwanted(struct writing *w, struct writer_request **ended)
{
    for (int32_t i = 0; i < w->slots.size.sequences; i++) {
        struct slot *slot = &w->slots.items[i];
        if (slot->text && atomic_load(&written_at(w, slot)->request->unwanted))
            leave(w, slot, WRITER_TOLD, ended);
    }
}

/* The logits of the k-th row of the step. */
static float *logits_of(const struct writing *w, size_t k)
{
    return w->logits + k * w->width;
}

static int read_tokens(struct writing *w, size_t *rows, struct err *err)
{
    struct session *s = &w->base->session;
    *rows = 0;
    slots_share(&w->slots, s);
    slots_divide(&w->slots);
    for (int32_t i = 0; i < w->slots.size.sequences; i++)
        if (w->slots.items[i].take)
            w->order[(*rows)++] = &w->slots.items[i];
    qsort(w->order, *rows, sizeof(struct slot *), by_guest);
    parts_clear(&w->parts);
    for (size_t k = 0; k < *rows; k++) {
        struct slot *slot = w->order[k];
        slot_put(&w->slots, slot, (int32_t)k, w->parts.tokens, s->host_batch);
        parts_add(&w->parts, written_at(w, slot)->guest, slot->take, slot->take - 1,
                  slot_unread(slot) ? NULL : logits_of(w, k));
    }
    return *rows ? parts_run(&w->parts, err) : 0;
}

/* --- a step: choosing --- */

static double log_of_sum(const float *logits, size_t width)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < width; i++)
        most = fmax(most, (double)logits[i]);
    for (size_t i = 0; i < width; i++)
        sum += exp((double)logits[i] - most);
    return most + log(sum);
}

/* The likeliest, of equal ones the first. */
static void tell_top(struct writer_token *t, int top, const float *logits, size_t width,
                     double sum)
{
    for (size_t i = 0; i < width; i++) {
        const float p = (float)((double)logits[i] - sum);
        int at = t->n_top;
        while (at > 0 && p > t->top[at - 1].logprob)
            at--;
        if (at >= top)
            continue;
        t->n_top += t->n_top < top;
        for (int k = t->n_top - 1; k > at; k--)
            t->top[k] = t->top[k - 1];
        t->top[at] = (struct writer_choice){(int32_t)i, p};
    }
}

/* Without the end tokens where the text is too short for one. */
static int next_token(const struct writing *w, struct chosen *c, struct sampler *sampler)
{
    const struct written *of = written_at(w, c->slot);
    const struct writer_request *r = of->request;
    const size_t n_stops = r->ignores_end ? 0 : w->n_stops;
    for (size_t i = 0; i < n_stops && of->text.n < r->least; i++)
        c->logits[w->stops[i]] = -INFINITY;
    sampler->how = r->how;
    return slot_choose(c->slot, sampler, c->logits, w->stops, n_stops, &c->err);
}

static void choose(const struct writing *w, struct chosen *c, struct sampler *sampler)
{
    const struct written *of = written_at(w, c->slot);
    const int top = of->request->top < WRITER_TOP ? of->request->top : WRITER_TOP;
    const double sum = top >= 0 ? log_of_sum(c->logits, w->width) : 0;
    struct writer_token *t = &c->token;
    *t = (struct writer_token){0};
    if (top > 0)
        tell_top(t, top, c->logits, w->width, sum);
    c->rc = next_token(w, c, sampler);
    if (c->rc)
        return;
    t->id = of->text.ids[of->text.n - 1];
    t->ends = of->text.stopped;
    t->logprob = top >= 0 ? (float)((double)c->logits[t->id] - sum) : 0;
}

static void choose_some(void *ctx, size_t begin, size_t end, int thread)
{
    const struct writing *w = ctx;
    for (size_t i = begin; i < end; i++)
        choose(w, &w->chosen[i], &w->samplers[thread]);
}

/* For those of a step's rows whose prompts are read; how many these are. */
static size_t choose_all(struct writing *w, size_t rows)
{
    size_t count = 0;
    for (size_t k = 0; k < rows; k++)
        if (!slot_unread(w->order[k]))
            w->chosen[count++] =
                (struct chosen){.slot = w->order[k], .logits = logits_of(w, k)};
    pool_run(choose_some, w, count, 1);
    return count;
}

/* --- a step: telling --- */

/* False: it has enough. */
static bool tell(const struct written *of, const struct writer_token *t)
{
    struct writer_request *r = of->request;
    r->ids = of->text.ids;
    r->n = of->text.n;
    r->first_s = of->text.first_s;
    r->end_s = of->text.end_s;
    r->reused = of->text.reused;
    return !r->heard || r->heard(r, t);
}

static void go_on(struct writing *w, struct chosen *c, struct writer_request **ended)
{
    const struct written *of = written_at(w, c->slot);
    if (c->rc) {
        fail(w, c->slot, c->rc, &c->err, ended);
        return;
    }
    w->counts.new_tokens++;
    const bool ends = c->token.ends, more = tell(of, &c->token);
    if (ends || !more || of->text.n == of->text.most)
        leave(w, c->slot, ends ? WRITER_STOP : more ? WRITER_LENGTH : WRITER_TOLD, ended);
}

struct writer_request *writing_step(struct writing *w)
{
    struct writer_request *ended = NULL;
    struct err err = ERR_INIT;
    size_t rows;
    const double begin = clock_mono_s();
    drop_unwanted(w, &ended);
    const int rc = read_tokens(w, &rows, &err);
    for (size_t k = 0; k < rows && rc; k++)
        fail(w, w->order[k], rc, &err, &ended);
    const size_t count = rc ? 0 : choose_all(w, rows);
    for (size_t i = 0; i < count; i++)
        go_on(w, &w->chosen[i], &ended);
    w->counts.steps += rows > 0;
    w->counts.rows += (int64_t)rows;
    w->counts.adapters += (int64_t)w->parts.count;
    w->counts.run_s += clock_mono_s() - begin;
    return ended;
}
