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

static size_t moment_bytes(const struct param_group *g, enum dtype dtype)
{
    return aligned(g->count * dtype_bytes(dtype));
}

static void two_moments(const struct param_group *g, enum dtype dtype, char *at,
                        struct op_args *args)
{
    args->out[1] = tensor_vector(at, dtype, g->count);
    args->out[2] = tensor_vector(at + moment_bytes(g, dtype), dtype, g->count);
}

/* torch makes moments in the parameter's own format. */
static enum dtype own_dtype(const struct param_group *g)
{
    return g->rounded ? DT_BF16 : DT_F32;
}

static size_t adam_bytes(const struct param_group *g)
{
    return 2 * moment_bytes(g, own_dtype(g));
}

static void adam_state(const struct param_group *g, char *at, struct op_args *args)
{
    two_moments(g, own_dtype(g), at, args);
}

static size_t adam32_bytes(const struct param_group *g)
{
    return 2 * moment_bytes(g, DT_F32);
}

static void adam32_state(const struct param_group *g, char *at, struct op_args *args)
{
    two_moments(g, DT_F32, at, args);
}

static size_t blocks_of(const struct param_group *g)
{
    return (g->count + BLOCK - 1) / BLOCK;
}

/* transformers' Trainer tells bitsandbytes to leave embeddings alone. */
static bool is_in_8_bits(const struct param_group *g)
{
    return g->elements >= EIGHT_BIT_FROM && !g->table;
}

static size_t adam8_bytes(const struct param_group *g)
{
    if (!is_in_8_bits(g))
        return adam32_bytes(g);
    return 2 * aligned(g->count) + 2 * aligned(blocks_of(g) * sizeof(float));
}

static void adam8_state(const struct param_group *g, char *at, struct op_args *args)
{
    const size_t codes = aligned(g->count),
                 absmax = aligned(blocks_of(g) * sizeof(float));
    if (!is_in_8_bits(g)) {
        adam32_state(g, at, args);
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
    {"paged_adamw_32bit", OP_adamw_8bit, false, adam32_bytes, adam32_state},
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
