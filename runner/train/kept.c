/* runner/train/kept.c - see kept.h. */
#include "runner/train/kept.h"
#include "lib/mem.h"
#include "runner/nn/peft/method.h"
#include "runner/train/spike.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_floats(const struct session *s, float *to, const float *from,
                        size_t floats)
{
    for (size_t at = 0; at < floats; at += VECTOR_MAX) {
        struct op_args a = {.in[0] = tensor_piece(from, floats, at),
                            .out[0] = tensor_piece(to, floats, at)};
        graph_call(s->backend, &s->memory, OP_copy, &a);
    }
}

void kept_copy(const struct kept *k, const char *prefix, bool back)
{
    const struct pieces *all = &k->pieces;
    const size_t skip = strlen(prefix);
    for (size_t i = 0; i < all->count; i++)
        for (size_t j = 0; j < all->count; j++) {
            const struct piece *copy = &all->items[i], *x = &all->items[j];
            if (strncmp(copy->name, prefix, skip) != 0 ||
                strcmp(copy->name + skip, x->name) != 0)
                continue;
            const struct piece *from = back ? copy : x, *to = back ? x : copy;
            if (x->on_device)
                copy_floats(k->s, to->data, from->data, from->bytes / sizeof(float));
            else
                memcpy(to->data, from->data, from->bytes);
        }
}

struct copies kept_copies(const struct trial *t)
{
    const struct spike_action *a = spike_action_find(t->loss_spike);
    return (struct copies){.best = t->load_best_model_at_end,
                           .good = spike_acts(a),
                           .moments = a->goes_back};
}

static void add_state(void *ctx, const char *name, void *data, size_t bytes)
{
    struct kept *k = ctx;
    char key[64];
    snprintf(key, sizeof key, "method/%s", name);
    pieces_add(&k->pieces, key, data, bytes, false);
}

/* Of the first `count` pieces; parameters lie behind those that train. */
static void add_copies(struct kept *k, size_t count, const char *prefix, char *parameters)
{
    for (size_t i = 0; i < count; i++) {
        const struct piece p = k->pieces.items[i];
        char key[64];
        snprintf(key, sizeof key, "%s%.50s", prefix, p.name);
        pieces_add(&k->pieces, key, i == 0 ? parameters : xcalloc(1, p.bytes), p.bytes,
                   p.on_device);
    }
}

void kept_init(struct kept *k, struct session *s, struct spike_state *spikes)
{
    *k = (struct kept){.s = s};
    const size_t bytes = s->trainable_floats * sizeof(float);
    const struct copies copies = kept_copies(&s->trial);
    char *at = s->arena[MEM_trainable], *moments = s->arena[MEM_optimizer];
    pieces_add(&k->pieces, "trainable", at, bytes, true);
    if (s->net.method->state)
        s->net.method->state(&s->net, add_state, k);
    const size_t count = k->pieces.count;
    if (copies.best)
        add_copies(k, count, "best/", at += bytes);
    if (copies.good)
        add_copies(k, count, "good/", at += bytes);
    const size_t state = s->planned[MEM_optimizer] / (copies.moments ? 2 : 1);
    pieces_add(&k->pieces, "optimizer", moments, state, true);
    if (copies.moments)
        pieces_add(&k->pieces, "good/optimizer", moments + state, state, true);
    if (copies.good)
        pieces_add(&k->pieces, "spikes", spikes, sizeof *spikes, false);
}

void kept_release(struct kept *k)
{
    for (size_t i = 0; i < k->pieces.count; i++) {
        const char *name = k->pieces.items[i].name;
        if (!strncmp(name, "best/method/", 12) || !strncmp(name, "good/method/", 12))
            free(k->pieces.items[i].data);
    }
    pieces_release(&k->pieces);
}

int kept_save(const struct kept *k, const struct checkpoint *c, const char *run_dir,
              struct err *err)
{
    return checkpoint_save(k->s, &k->pieces, c, run_dir, k->s->trial.save_total_limit,
                           err);
}

int kept_find(const struct kept *k, const char *run_dir, const char *const *older,
              struct checkpoint *c, struct err *err)
{
    int rc = checkpoint_resume(k->s, &k->pieces, run_dir, !older, c, err);
    for (size_t i = 0; older && older[i] && !rc; i++)
        rc = checkpoint_resume(k->s, &k->pieces, older[i], false, c, err);
    if (!rc) /* what is left there is of no use, and must not be counted */
        rc = checkpoint_remove_all(run_dir, err);
    return rc;
}
