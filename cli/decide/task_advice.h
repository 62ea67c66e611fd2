/* cli/decide/task_advice.h - `peftlab advise --tasks FILE`: how to serve many tasks, by the
 * store's trials and benches, as the report's chapter on them says it. */
#ifndef CLI_DECIDE_TASK_ADVICE_H
#define CLI_DECIDE_TASK_ADVICE_H

#include "lib/err.h"
#include <jansson.h>

/* values: of the command (tasks, store, sweep, core_price, json). 1: no way of serving keeps
 * everything. */
int task_advice(const json_t *values, struct err *err);

#endif
