/* runner/generate/generator.c - see generator.h. */
#include "runner/generate/generator.h"
#include "lib/mem.h"
#include <stdlib.h>

enum { OWNER = 1 }; /* of all that is in the cache */

int32_t generator_length(const struct session *s, int32_t prompt, int32_t most)
{
    return s->net.change.virtual_tokens + prompt + most;
}

int32_t generator_room(const struct session *s)
{
    return net_room(&s->net);
}

void generator_init(struct generator *g, struct session *session,
                    const struct sampling *how, const int32_t *stops, size_t n_stops)
{
    const size_t slots = (size_t)session->decode.sequences;
    const size_t width = (size_t)session->goal.num_labels;
    *g = (struct generator){.session = session,
                            .stops = stops,
                            .n_stops = n_stops,
                            .logits = xcalloc(slots * width, sizeof *g->logits)};
    slots_init(&g->slots, &session->decode);
    sampler_init(&g->sampler, how, width);
}

void generator_release(struct generator *g)
{
    slots_release(&g->slots);
    free(g->logits);
    sampler_release(&g->sampler);
    *g = (struct generator){0};
}

/* What the method puts in front, into every slot. */
static void start(struct generator *g)
{
    for (int32_t i = 0; i < g->slots.size.sequences && !g->started; i++)
        slots_start(g->session, &g->session->start_graph, &g->session->memory, i);
    g->started = true;
}

/* --- one run --- */

static struct extent load(struct generator *g)
{
    struct session *s = g->session;
    int32_t *const *h = s->host_batch, tokens = 0, n = 0;
    for (int32_t i = 0; i < g->slots.size.sequences; i++) {
        struct slot *slot = &g->slots.items[i];
        if (!slot->take)
            continue;
        h[SLOT_seq][n] = tokens;
        tokens = slot_put(&g->slots, slot, n, tokens, h);
        h[SLOT_picked][n++] = tokens - 1;
    }
    h[SLOT_seq][n] = tokens;
    const struct extent all = extent_of_cached(tokens, n, n);
    session_upload(s, &all);
    return all;
}

static int run(struct generator *g, generator_heard heard, void *ctx, struct err *err)
{
    struct session *s = g->session;
    const struct op_step step = {.seed = s->course.seed};
    slots_share(&g->slots, s);
    slots_divide(&g->slots);
    const struct extent e = load(g);
    graph_run(&s->decode_graph, s->backend, &s->memory, &e, &step);
    const struct tensor t =
        graph_tensor(&s->decode_graph, &s->memory, s->decode_graph.logits, &e);
    s->backend->download(s->backend->device, g->logits, t.data,
                         (size_t)t.rows * (size_t)t.cols * sizeof(float));
    int rc = 0;
    for (int32_t i = 0, n = 0; i < g->slots.size.sequences && !rc; i++) {
        struct slot *slot = &g->slots.items[i];
        n += slot->take > 0;
        if (!slot->take || slot_unread(slot))
            continue;
        struct generation *text = slot->text;
        rc =
            slot_choose(slot, &g->sampler, g->logits + (size_t)(n - 1) * g->sampler.width,
                        g->stops, g->n_stops, err);
        const bool more = rc || !heard || heard(ctx, text);
        if (!more || text->stopped || text->n == text->most)
            slot->text = NULL;
    }
    return rc;
}

int generator_run(struct generator *g, struct generation *texts, size_t count,
                  generator_heard heard, void *ctx, struct err *err)
{
    size_t next = 0;
    int rc = 0;
    start(g);
    while (!rc) {
        int32_t busy = 0;
        struct slot *slot;
        while (next < count && (slot = slots_free(&g->slots, OWNER, texts[next].prompt,
                                                  texts[next].n_prompt)))
            slots_occupy(&g->slots, slot, &g->session->net, OWNER, &texts[next++]);
        for (int32_t i = 0; i < g->slots.size.sequences; i++)
            busy += g->slots.items[i].text != NULL;
        if (!busy)
            break;
        rc = run(g, heard, ctx, err);
    }
    for (int32_t i = 0; i < g->slots.size.sequences; i++)
        g->slots.items[i].text = NULL;
    return rc;
}
