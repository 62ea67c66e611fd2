/* runner/optim/optimizer.c - see optimizer.h. */
#include "runner/optim/optimizer.h"
#include "lib/mem.h"
#include "lib/str.h"

#define EIGHT_BIT_FROM 4096 /* elements; smaller tensors keep 32 bits */
#define BLOCK          256

static size_t aligned(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

static size_t no_bytes(const struct param_group *g)
{
    (void)g;
    return 0;
}

static void no_state(const struct param_group *g, char *at, struct op_args *args)
{
    (void)g, (void)at, (void)args;
}

static size_t adam_bytes(const struct param_group *g)
{
    return 2 * aligned(g->count * sizeof(float));
}

static void adam_state(const struct param_group *g, char *at, struct op_args *args)
{
    args->out[1] = tensor_vector(at, DT_F32, g->count);
    args->out[2] =
        tensor_vector(at + aligned(g->count * sizeof(float)), DT_F32, g->count);
}

static size_t blocks_of(const struct param_group *g)
{
    return (g->count + BLOCK - 1) / BLOCK;
}

static size_t adam8_bytes(const struct param_group *g)
{
    if (g->elements < EIGHT_BIT_FROM)
        return adam_bytes(g);
    return 2 * aligned(g->count) + 2 * aligned(blocks_of(g) * sizeof(float));
}

static void adam8_state(const struct param_group *g, char *at, struct op_args *args)
{
    const size_t codes = aligned(g->count),
                 absmax = aligned(blocks_of(g) * sizeof(float));
    if (g->elements < EIGHT_BIT_FROM) {
        adam_state(g, at, args);
        return;
    }
    args->out[1] = tensor_vector(at, DT_U8, g->count);
    args->out[2] = tensor_vector(at + codes, DT_U8, g->count);
    args->out[3] = tensor_vector(at + 2 * codes, DT_F32, blocks_of(g));
    args->out[4] = tensor_vector(at + 2 * codes + absmax, DT_F32, blocks_of(g));
}

static const struct optimizer rows[] = {
    {"adamw", OP_adamw, false, adam_bytes, adam_state},
    {"sgd", OP_sgd, false, no_bytes, no_state},
    {"adamw_8bit", OP_adamw_8bit, true, adam8_bytes, adam8_state},
};

const struct optimizer *optimizer_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].name, name))
            return &rows[i];
    return &rows[0];
}

size_t optimizer_plan(const struct optimizer *o, struct param_group *groups, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        groups[i].state = at;
        at += aligned(o->state_bytes(&groups[i]));
    }
    return at;
}
