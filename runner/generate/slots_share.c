/* runner/generate/slots_share.c - what a slot need not read because another holds it.
 *
 * Keys depend on the tokens before them and the adapter alone, bit by bit, so those of a
 * common beginning (a system prompt, several texts from one prompt) are copied from slot to
 * slot, which takes a hundredth of the time that reading takes. Where an older text is
 * still to read what a younger one begins with, the younger one waits for it. */
#include "runner/generate/slots.h"
#include <string.h>

/* Fewer tokens than that are read anew: a step of waiting would cost more. */
enum { SHARED_LEAST = 16 };

/* The i-th real token of a slot's sequence, read or not; -1: it has none. */
static int32_t known(const struct slot *slot, int32_t i)
{
    const struct generation *text = slot->text;
    if (i < slot->n_held)
        return slot->held[i];
    if (!text || i >= text->n_prompt + text->n)
        return -1;
    return i < text->n_prompt ? text->prompt[i] : text->ids[i - text->n_prompt];
}

/* How many tokens the prompt begins with that `other` has, the last one not among them. */
static int32_t in_common(const struct slot *slot, const struct slot *other)
{
    int32_t n = 0;
    while (n + 1 < slot->text->n_prompt && slot->text->prompt[n] == known(other, n))
        n++;
    return n;
}

/* Rows of a state as words: copied as they are, whatever the format. */
static struct tensor words(const struct session *s, const struct state *st, int64_t row,
                           int32_t rows)
{
    const size_t bytes = (size_t)st->cols * dtype_bytes(st->dtype);
    const int32_t cols = (int32_t)(bytes / sizeof(float));
    return (struct tensor){.data =
                               (char *)s->memory.state + st->offset + (size_t)row * bytes,
                           .dtype = DT_F32,
                           .rows = rows,
                           .cols = cols,
                           .ld = cols};
}

/* Keys and values [begin, end) of all layers. */
static void copy_keys(const struct slots *s, struct session *session, int64_t from,
                      int64_t to, int32_t begin, int32_t end)
{
    for (size_t i = 0; i < session->net.states.count; i++) {
        const struct state *st = &session->net.states.items[i];
        const int32_t heads = st->rows / (s->size.sequences * s->size.capacity);
        for (int32_t h = 0; h < heads && net_is_cache(st); h++) {
            struct op_args a = {
                .in[0] = words(session, st, (from * heads + h) * s->size.capacity + begin,
                               end - begin),
                .out[0] = words(session, st, (to * heads + h) * s->size.capacity + begin,
                                end - begin)};
            graph_call(session->backend, &session->memory, OP_copy, &a);
        }
    }
}

static void take_from(struct slots *s, struct session *session, struct slot *slot,
                      const struct slot *other, int32_t n)
{
    const struct net *net = slot->net;
    const int32_t front = net_prefix_keys(net), read = net->change.prompt_rows + n;
    copy_keys(s, session, other - s->items, slot - s->items, front + slot->read,
              front + read);
    memcpy(slot->held, slot->text->prompt, (size_t)n * sizeof *slot->held);
    slot->text->reused += n - slot->n_held;
    slot->n_held = n;
    slot->read = read;
}

static void share(struct slots *s, struct session *session, struct slot *slot)
{
    const struct slot *best = NULL;
    int32_t most = slot->n_held, coming = 0;
    for (int32_t i = 0; i < s->size.sequences; i++) {
        const struct slot *other = &s->items[i];
        if (other == slot || other->owner != slot->owner)
            continue;
        const int32_t same = in_common(slot, other),
                      there = same < other->n_held ? same : other->n_held;
        if (there > most) {
            most = there;
            best = other;
        }
        if (other->text && other->since < slot->since && same > coming)
            coming = same;
    }
    if (best && most - slot->n_held >= SHARED_LEAST)
        take_from(s, session, slot, best, most);
    slot->waits = coming - slot->n_held >= SHARED_LEAST;
}

void slots_share(struct slots *s, struct session *session)
{
    for (int32_t i = 0; i < s->size.sequences; i++) {
        struct slot *slot = &s->items[i];
        slot->waits = false;
        if (slot_unread(slot) > 1 && slot->n_held + 1 < slot->text->n_prompt)
            share(s, session, slot);
    }
}
