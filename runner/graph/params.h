/* runner/graph/params.h - the parameters of one net: names, shapes, where their values
 * start, where they live.
 *
 * A parameter is frozen or trainable. Frozen ones lie in the weights arena: matrices of
 * linear layers in the backend's prepared form (quantised where the trial says so),
 * everything else as plain fp32. A matrix that is both the weight of a linear layer and a
 * table whose rows are looked up (a head tied to the embeddings) is one parameter, counted
 * once, and lies there once: rows are looked up in the prepared form; only where that is
 * quantised the plain one stands in front of it. Trainable ones have the plain form only
 * and lie one after the other in the trainable arena, each padded with zeros to 64 bytes,
 * in the order of their optimiser group, so that one optimiser call serves a group;
 * gradients and moments mirror that layout. 1-d parameters have rows 1.
 *
 * Start values come from the base's file (`base`), from an adapter folder, or from a
 * random initialiser that is a pure function of (seed, name, element). */
#ifndef RUNNER_GRAPH_PARAMS_H
#define RUNNER_GRAPH_PARAMS_H

#include "kernels/backend.h"
#include "lib/hash.h"
#include "runner/hub/safetensors.h"
#include <stdbool.h>

enum init_kind { INIT_ZEROS, INIT_ONES, INIT_CONSTANT, INIT_NORMAL, INIT_UNIFORM };

/* scale * B A, B rows x rank, A rank x cols. */
struct low_rank {
    int32_t rank; /* 0: none */
    float scale;
    const float *a, *b; /* borrowed */
};

struct param {
    char *name; /* path in the Hugging Face task model: "bert.pooler.dense.weight" */
    int ndim;   /* 1 or 2; 1-d is a row */
    int32_t rows, cols;
    bool trainable;
    bool saved;      /* frozen, but in the adapter's folder too */
    bool column;     /* a row here, [cols, 1] in files */
    bool transposed; /* rows x cols here, cols x rows in files (GPT-2's Conv1D) */
    bool linear;     /* weight of a linear layer: prepared when frozen */
    bool table;      /* its rows are looked up; adamw_8bit keeps its moments in 32 bits */
    bool no_decay;   /* norm or bias, by transformers' rule */
    bool exact;      /* fp32, whatever adapter_dtype says (DoRA's magnitude) */
    bool rounded;    /* trains as numbers of bf16, kept in fp32, with moments in bf16 */
    float lr_ratio;  /* learning rate of its group over the trial's (LoRA+), 1 */

    const struct st_tensor *base; /* in the base's file; NULL: not there */
    bool absent;         /* of a base that was opened by its shape: there are no values */
    enum init_kind init; /* used when nothing else gives values */
    float init_scale;    /* standard deviation, half width, or the constant */
    float *given;        /* values from an adapter folder (owned), over all else */
    struct low_rank less; /* taken out of the base's values at load (PiSSA, OLoRA) */
    bool derived; /* follows from the base, the method computes it once that is in place;
                     when frozen it is a help, not a parameter, and is not counted */
    bool added;   /* by the method: not part of the base model */

    enum quant_kind round_trip; /* quantised and back at load, kept as fp32 */
    struct weight_spec spec;    /* frozen linear weights */
    size_t offset, bytes;       /* in its arena, all forms */
    /* Once memory is there: the plain form and the prepared one (no data: it has none);
     * grad of trainable ones only. */
    struct tensor value, prepared, grad;
};

struct params {
    struct param **items;
    size_t count, cap;
    struct strmap *by_name;
};

void params_init(struct params *p);
void params_release(struct params *p);
/* Adds one; names are unique. Borrowed; stays where it is. */
struct param *params_add(struct params *p, const char *name, int ndim, int32_t rows,
                         int32_t cols);
struct param *params_find(const struct params *p, const char *name); /* NULL: none */
int64_t params_count(const struct params *p, bool trainable_only);

/* Writes the start values of one parameter (rows x cols fp32) to dst. */
int param_start_values(const struct param *p, uint64_t seed, float *dst, struct err *err);
static inline int64_t param_size(const struct param *p)
{
    return (int64_t)p->rows * p->cols;
}
/* Its shape in files (a 1-d one's is shape[1] alone), and its values from a file's order to
 * its own, or back; `to` may not be `from`. */
void param_file_shape(const struct param *p, int64_t shape[2]);
void param_from_file(const struct param *p, const float *from, float *to);
void param_to_file(const struct param *p, const float *from, float *to);
/* The forms that it has in memory. */
static inline bool param_is_prepared(const struct param *p)
{
    return p->linear && !p->trainable;
}
static inline bool param_is_plain(const struct param *p)
{
    return !param_is_prepared(p) || (p->table && p->spec.quant != QUANT_NONE);
}

/* In 4 bits, and that is how it lies in the base's file. */
static inline bool param_lies_quantised(const struct param *p)
{
    return p->base && p->base->q4 && !p->given && p->spec.quant != QUANT_NONE &&
           param_is_prepared(p);
}

/* Bytes of a frozen one in the weights arena, by its spec. */
size_t param_frozen_bytes(const struct param *p, const struct backend *backend);
/* Points its tensors into the arenas; `gradients` may be NULL. */
void param_bind(struct param *p, void *arena, void *gradients);

#endif
