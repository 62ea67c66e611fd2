/* runner/generate/slots.c - see slots.h. */
#include "runner/generate/slots.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include <stdlib.h>

void generation_release(struct generation *g)
{
    free(g->ids);
    g->ids = NULL;
}

/* Where rotary frequencies change with the length (dynamic, longrope), the cache would
 * hold keys turned by others. transformers goes on with them, and writes other texts with
 * its cache than without (seen for dynamic at the first token beyond, for longrope after a
 * few); its Phi-3 reads all again where longrope changes over, which is the way to go on. */
int32_t net_room(const struct net *net)
{
    const struct net_shape *shape = &net->shape;
    const bool bends = shape->rope.length && shape->rope.length < shape->max_positions;
    return (bends ? shape->rope.length : shape->max_positions) -
           net->change.virtual_tokens;
}

void slots_init(struct slots *s, const struct decode_size *size)
{
    *s = (struct slots){.size = *size,
                        .items = xcalloc((size_t)size->sequences, sizeof *s->items)};
    for (int32_t i = 0; i < size->sequences; i++)
        s->items[i].held = xcalloc((size_t)size->capacity + 1, sizeof *s->items[i].held);
}

void slots_release(struct slots *s)
{
    for (int32_t i = 0; s->items && i < s->size.sequences; i++)
        free(s->items[i].held);
    free(s->items);
    *s = (struct slots){0};
}

/* --- who comes into which --- */

/* Tokens of the prompt that need not be read: the last one gives the logits. */
static int32_t common(const struct slot *slot, uint64_t owner, const int32_t *prompt,
                      int32_t n_prompt)
{
    int32_t same = 0;
    while (slot->owner == owner && same < slot->n_held && same + 1 < n_prompt &&
           slot->held[same] == prompt[same])
        same++;
    return same;
}

struct slot *slots_free(const struct slots *s, uint64_t owner, const int32_t *prompt,
                        int32_t n_prompt)
{
    struct slot *best = NULL;
    int32_t most = 0;
    for (int32_t i = 0; i < s->size.sequences; i++) {
        struct slot *slot = &s->items[i];
        if (slot->text)
            continue;
        const int32_t same = common(slot, owner, prompt, n_prompt);
        if (best && (same < most || (same == most && slot->since >= best->since)))
            continue;
        best = slot;
        most = same;
    }
    return best;
}

void slots_occupy(struct slots *s, struct slot *slot, const struct net *net,
                  uint64_t owner, struct generation *text)
{
    const int32_t same = common(slot, owner, text->prompt, text->n_prompt);
    slot->text = text;
    slot->net = net;
    slot->owner = owner;
    slot->since = ++s->occupied;
    slot->n_held = text->reused = same;
    slot->read = same ? net->change.prompt_rows + same : 0;
    text->ids = xcalloc((size_t)text->most + 1, sizeof *text->ids);
    text->n = 0;
    text->begin_s = clock_mono_s();
}

void slots_start(struct session *session, const struct graph *start,
                 const struct graph_memory *m, int32_t slot)
{
    const struct op_step step = {.seed = session->course.seed};
    const int32_t tokens = start->budget.of[ROWS_TOKENS];
    const struct extent places = extent_of_cached(0, 1, 0),
                        one = extent_of_cached(tokens, 1, 0);
    if (!start->node_count)
        return;
    session->host_batch[SLOT_seq][0] = 0;
    session->host_batch[SLOT_seq][1] = tokens;
    session->host_batch[SLOT_slot][0] = slot;
    session->host_batch[SLOT_past][0] = 0;
    session_upload(session, &places);
    graph_run(start, session->backend, m, &one, &step);
}

/* --- what is read --- */

/* The i-th token of a sequence, virtual ones come first. */
static int32_t token_at(const struct slot *slot, int32_t i)
{
    const int32_t virtual = slot->net->change.prompt_rows;
    const struct generation *text = slot->text;
    if (i < virtual)
        return -1 - i;
    i -= virtual;
    return i < text->n_prompt ? text->prompt[i] : text->ids[i - text->n_prompt];
}

int32_t slot_unread(const struct slot *slot)
{
    return slot->text ? slot->net->change.prompt_rows + slot->text->n_prompt +
                            slot->text->n - slot->read
                      : 0;
}

/* Of the prompts that nothing is taken of yet the first that came. */
static struct slot *next_prompt(const struct slots *s)
{
    struct slot *first = NULL;
    for (int32_t i = 0; i < s->size.sequences; i++) {
        struct slot *slot = &s->items[i];
        if (!slot->take && !slot->waits && slot_unread(slot) > 1 &&
            (!first || slot->since < first->since))
            first = slot;
    }
    return first;
}

void slots_divide(struct slots *s)
{
    int32_t left = s->size.tokens;
    for (int32_t i = 0; i < s->size.sequences; i++)
        left -= s->items[i].take = slot_unread(&s->items[i]) == 1;
    for (struct slot *slot; left && (slot = next_prompt(s)); left -= slot->take) {
        const int32_t want = slot_unread(slot);
        slot->take = want < left ? want : left;
    }
}

int32_t slot_put(const struct slots *s, struct slot *slot, int32_t n, int32_t at,
                 int32_t *const batch[SLOT_COUNT])
{
    const int32_t prefix = net_prefix_keys(slot->net);
    batch[SLOT_slot][n] = (int32_t)(slot - s->items);
    batch[SLOT_past][n] = prefix + slot->read;
    for (int32_t k = 0; k < slot->take; k++, slot->read++, at++) {
        const int32_t id = token_at(slot, slot->read);
        batch[SLOT_ids][at] = id;
        batch[SLOT_positions][at] = slot->net->shape.first_position + prefix + slot->read;
        batch[SLOT_type_ids][at] = 0;
        if (id >= 0)
            slot->held[slot->n_held++] = id;
    }
    batch[SLOT_labels][n] = -1;
    return at;
}

/* --- what is chosen --- */

static bool is_stop(int32_t id, const int32_t *stops, size_t n_stops)
{
    for (size_t i = 0; i < n_stops; i++)
        if (stops[i] == id)
            return true;
    return false;
}

int slot_choose(struct slot *slot, struct sampler *sampler, const float *logits,
                const int32_t *stops, size_t n_stops, struct err *err)
{
    struct generation *text = slot->text;
    const struct text_ids so_far = {text->prompt, text->ids, (size_t)text->n_prompt,
                                    (size_t)text->n};
    const int32_t id = sampler_next(sampler, logits, &so_far, text->stream);
    if (id < 0)
        return err_set(err, ERR_NAN,
                       "a logit behind token %d of text %llu is no number: the model's "
                       "weights or the adapter's are none, or too large",
                       text->n_prompt + text->n, (unsigned long long)text->stream + 1);
    text->ids[text->n++] = id;
    text->end_s = clock_mono_s();
    if (text->n == 1)
        text->first_s = text->end_s;
    text->stopped = is_stop(id, stops, n_stops);
    return 0;
}
