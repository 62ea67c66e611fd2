/* runner/serve/bare.h - a batch through the base alone, with the head that it has: what
 * adapters on it are measured against. No code of adapters runs; a merged model is such a
 * base. */
#ifndef RUNNER_SERVE_BARE_H
#define RUNNER_SERVE_BARE_H

#include "runner/serve/batch.h"

/* As serve_batch_run; the rows' guests are not looked at, and their logits not filled:
 * those of the base, of another number of labels, are computed and left. */
int serve_bare_run(struct serve_base *b, const struct serve_row *rows, size_t count,
                   struct err *err);

#endif
