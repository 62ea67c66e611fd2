/* runner/generate/generator.c - see generator.h. */
#include "runner/generate/generator.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include <stdlib.h>
#include <string.h>

/* A sequence's place in the cache. */
struct slot {
    struct generation *text; /* NULL: free */
    int32_t *held;           /* real tokens whose keys are there */
    int32_t n_held;
    int32_t read; /* tokens that were read, virtual ones among them */
    int32_t take; /* of these, in the run at hand */
};

void generation_release(struct generation *g)
{
    free(g->ids);
    g->ids = NULL;
}

/* Virtual tokens are read as tokens, virtual keys are there from the start. */
static int32_t prefix_keys(const struct session *s)
{
    return s->net.change.virtual_tokens - s->net.change.prompt_rows;
}

int32_t generator_length(const struct session *s, int32_t prompt, int32_t most)
{
    return s->net.change.virtual_tokens + prompt + most;
}

/* Where rotary frequencies change with the length (dynamic, longrope), the cache would
 * hold keys turned by others. transformers goes on with them, and writes other texts with
 * its cache than without (seen for dynamic at the first token beyond, for longrope after a
 * few); its Phi-3 reads all again where longrope changes over, which is the way to go on. */
int32_t generator_room(const struct session *s)
{
    const struct net_shape *shape = &s->net.shape;
    const bool bends = shape->rope.length && shape->rope.length < shape->max_positions;
    return (bends ? shape->rope.length : shape->max_positions) -
           s->net.change.virtual_tokens;
}

void generator_init(struct generator *g, struct session *session,
                    const struct sampling *how, const int32_t *stops, size_t n_stops)
{
    const size_t slots = (size_t)session->decode.sequences;
    const size_t width = (size_t)session->goal.num_labels;
    *g = (struct generator){.session = session,
                            .stops = stops,
                            .n_stops = n_stops,
                            .slots = xcalloc(slots, sizeof *g->slots),
                            .logits = xcalloc(slots * width, sizeof *g->logits)};
    for (size_t i = 0; i < slots; i++)
        g->slots[i].held =
            xcalloc((size_t)session->decode.capacity + 1, sizeof *g->slots[i].held);
    sampler_init(&g->sampler, how, width);
}

void generator_release(struct generator *g)
{
    for (int32_t i = 0; g->slots && i < g->session->decode.sequences; i++)
        free(g->slots[i].held);
    free(g->slots);
    free(g->logits);
    sampler_release(&g->sampler);
    *g = (struct generator){0};
}

/* --- slots --- */

/* What the method puts in front, into every slot. */
static void start(struct generator *g)
{
    struct session *s = g->session;
    const struct op_step step = {.seed = s->course.seed};
    const int32_t tokens = s->start_graph.budget.of[ROWS_TOKENS];
    if (!s->start_graph.node_count)
        return;
    for (int32_t i = 0; i < s->decode.sequences; i++) {
        const struct extent one = extent_of_cached(tokens, 1, 0);
        s->host_batch[SLOT_seq][0] = 0;
        s->host_batch[SLOT_seq][1] = tokens;
        s->host_batch[SLOT_slot][0] = i;
        s->host_batch[SLOT_past][0] = 0;
        session_upload(s, &one);
        graph_run(&s->start_graph, s->backend, &s->memory, &one, &step);
    }
}

static void occupy(const struct session *s, struct slot *slot, struct generation *text)
{
    int32_t same = 0;
    while (same < slot->n_held && same + 1 < text->n_prompt &&
           slot->held[same] == text->prompt[same])
        same++;
    slot->text = text;
    slot->n_held = text->reused = same;
    slot->read = same ? s->net.change.prompt_rows + same : 0;
    text->ids = xcalloc((size_t)text->most + 1, sizeof *text->ids);
    text->n = 0;
    text->begin_s = clock_mono_s();
}

/* The i-th token of a sequence, virtual ones come first. */
static int32_t token_at(const struct session *s, const struct generation *text, int32_t i)
{
    const int32_t virtual = s->net.change.prompt_rows;
    if (i < virtual)
        return -1 - i;
    i -= virtual;
    return i < text->n_prompt ? text->prompt[i] : text->ids[i - text->n_prompt];
}

static int32_t unread(const struct session *s, const struct slot *slot)
{
    return slot->text ? s->net.change.prompt_rows + slot->text->n_prompt + slot->text->n -
                            slot->read
                      : 0;
}

/* --- one run --- */

/* What each slot reads: single tokens first, then pieces of prompts as far as they fit. */
static void divide(struct generator *g)
{
    const struct session *s = g->session;
    int32_t left = s->decode.tokens;
    for (int pass = 0; pass < 2; pass++)
        for (int32_t i = 0; i < s->decode.sequences; i++) {
            struct slot *slot = &g->slots[i];
            const int32_t want = unread(s, slot);
            if (pass == 0)
                slot->take = want == 1;
            else if (want > 1)
                slot->take = want < left ? want : left;
            left -= pass == 0 || want > 1 ? slot->take : 0;
        }
}

static struct extent load(struct generator *g)
{
    struct session *s = g->session;
    int32_t *const *h = s->host_batch, tokens = 0, n = 0;
    for (int32_t i = 0; i < s->decode.sequences; i++) {
        struct slot *slot = &g->slots[i];
        if (!slot->take)
            continue;
        h[SLOT_seq][n] = tokens;
        h[SLOT_slot][n] = i;
        h[SLOT_past][n] = prefix_keys(s) + slot->read;
        for (int32_t k = 0; k < slot->take; k++, slot->read++, tokens++) {
            h[SLOT_ids][tokens] = token_at(s, slot->text, slot->read);
            h[SLOT_positions][tokens] =
                s->net.shape.first_position + prefix_keys(s) + slot->read;
            h[SLOT_type_ids][tokens] = 0;
            if (h[SLOT_ids][tokens] >= 0)
                slot->held[slot->n_held++] = h[SLOT_ids][tokens];
        }
        h[SLOT_picked][n] = tokens - 1;
        h[SLOT_labels][n++] = -1;
    }
    h[SLOT_seq][n] = tokens;
    const struct extent all = extent_of_cached(tokens, n, n);
    session_upload(s, &all);
    return all;
}

static bool is_stop(const struct generator *g, int32_t id)
{
    for (size_t i = 0; i < g->n_stops; i++)
        if (g->stops[i] == id)
            return true;
    return false;
}

static int choose(struct generator *g, struct generation *text, const float *logits,
                  struct err *err)
{
    const struct text_ids so_far = {text->prompt, text->ids, (size_t)text->n_prompt,
                                    (size_t)text->n};
    const int32_t id = sampler_next(&g->sampler, logits, &so_far, text->stream);
    if (id < 0)
        return err_set(err, ERR_NAN,
                       "a logit behind token %d of text %llu is no number: the model's "
                       "weights or the adapter's are none, or too large",
                       text->n_prompt + text->n, (unsigned long long)text->stream + 1);
    text->ids[text->n++] = id;
    text->end_s = clock_mono_s();
    if (text->n == 1)
        text->first_s = text->end_s;
    text->stopped = is_stop(g, id);
    return 0;
}

static int run(struct generator *g, generator_heard heard, void *ctx, struct err *err)
{
    struct session *s = g->session;
    const struct op_step step = {.seed = s->course.seed};
    divide(g);
    const struct extent e = load(g);
    graph_run(&s->decode_graph, s->backend, &s->memory, &e, &step);
    const struct tensor t =
        graph_tensor(&s->decode_graph, &s->memory, s->decode_graph.logits, &e);
    s->backend->download(s->backend->device, g->logits, t.data,
                         (size_t)t.rows * (size_t)t.cols * sizeof(float));
    int rc = 0;
    for (int32_t i = 0, n = 0; i < s->decode.sequences && !rc; i++) {
        struct slot *slot = &g->slots[i];
        n += slot->take > 0;
        if (!slot->take || unread(s, slot))
            continue;
        struct generation *text = slot->text;
        rc = choose(g, text, g->logits + (size_t)(n - 1) * g->sampler.width, err);
        const bool more = rc || !heard || heard(ctx, text);
        if (!more || text->stopped || text->n == text->most)
            slot->text = NULL;
    }
    return rc;
}

int generator_run(struct generator *g, struct generation *texts, size_t count,
                  generator_heard heard, void *ctx, struct err *err)
{
    const int32_t slots = g->session->decode.sequences;
    size_t next = 0;
    int rc = 0;
    if (!g->started)
        start(g);
    g->started = true;
    while (!rc) {
        int32_t busy = 0;
        for (int32_t i = 0; i < slots; i++) {
            if (!g->slots[i].text && next < count)
                occupy(g->session, &g->slots[i], &texts[next++]);
            busy += g->slots[i].text != NULL;
        }
        if (!busy)
            break;
        rc = run(g, heard, ctx, err);
    }
    for (int32_t i = 0; i < slots; i++)
        g->slots[i].text = NULL;
    return rc;
}
