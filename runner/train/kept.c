/* runner/train/kept.c - see kept.h. */
#include "runner/train/kept.h"
#include "lib/mem.h"
#include "runner/nn/peft/method.h"
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

void kept_copy_best(const struct kept *k, bool back)
{
    const struct pieces *all = &k->pieces;
    for (size_t i = 0; i < all->count; i++)
        for (size_t j = 0; j < all->count; j++) {
            const struct piece *best = &all->items[i], *x = &all->items[j];
            if (strncmp(best->name, "best/", 5) != 0 ||
                strcmp(best->name + 5, x->name) != 0)
                continue;
            const struct piece *from = back ? best : x, *to = back ? x : best;
            if (x->on_device)
                copy_floats(k->s, to->data, from->data, from->bytes / sizeof(float));
            else
                memcpy(to->data, from->data, from->bytes);
        }
}

static void add_state(void *ctx, const char *name, void *data, size_t bytes)
{
    struct kept *k = ctx;
    char key[64];
    snprintf(key, sizeof key, "method/%s", name);
    pieces_add(&k->pieces, key, data, bytes, false);
}

void kept_init(struct kept *k, struct session *s, bool keep_best)
{
    *k = (struct kept){.s = s};
    const size_t bytes = s->trainable_floats * sizeof(float);
    pieces_add(&k->pieces, "trainable", s->arena[MEM_trainable], bytes, true);
    if (s->net.method->state)
        s->net.method->state(&s->net, add_state, k);
    const size_t count = k->pieces.count;
    for (size_t i = 0; i < count && keep_best; i++) {
        const struct piece p = k->pieces.items[i];
        char key[64];
        snprintf(key, sizeof key, "best/%.50s", p.name);
        pieces_add(&k->pieces, key,
                   i == 0 ? (char *)s->arena[MEM_trainable] + bytes : xcalloc(1, p.bytes),
                   p.bytes, p.on_device);
    }
    pieces_add(&k->pieces, "optimizer", s->arena[MEM_optimizer],
               s->planned[MEM_optimizer], true);
}

void kept_release(struct kept *k)
{
    for (size_t i = 0; i < k->pieces.count; i++)
        if (!strncmp(k->pieces.items[i].name, "best/method/", 12))
            free(k->pieces.items[i].data);
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
