/* runner/serve/batch.h - rows for different adapters through one base in one batch. */
#ifndef RUNNER_SERVE_BATCH_H
#define RUNNER_SERVE_BATCH_H

#include "runner/serve/base.h"

struct serve_row {
    struct guest *guest;
    const struct example *example; /* tokens; its label is not read */
    float *logits;                 /* room for mould_width(guest->mould); filled */
};

/* How many tokens it takes, virtual ones too. */
int32_t serve_row_tokens(const struct serve_row *row);
/* Rows that fit what the base was opened for, in any order; fills their logits. What each
 * gets does not depend on the others. */
int serve_batch_run(struct serve_base *b, const struct serve_row *rows, size_t count,
                    struct err *err);

#endif
