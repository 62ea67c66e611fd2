/* sweep/file/override.h - words of the command line that change a sweep file.
 *
 *   rank=4,8                      values; commas in brackets do not split
 *   rank=range(4, 33, 4)          4, 8, ... below 33
 *   learning_rate=loguniform(1e-5, 1e-2)   a range for the random methods; also int,
 *                                 uniform, quniform, normal, lognormal, beta
 *   method=choice(lora)           values, even of one
 *   +weight_decay=0.01            adds a parameter       ~rank   removes one
 *   ~until                        removes a key of the sweep
 *   budget.max_trials=50          a key of a section; seeds=0,1; a goal of `until`
 *                                 (until.regret=0.01) takes the place of the file's
 *   sweep.method=tpe              a key of the sweep, also where a parameter has its name
 *
 * A parameter that is there keeps its `when`. One value makes a constant. A bare name
 * that is no parameter of the file is a section key if there is one of that name, else an
 * error that names `+`. */
#ifndef SWEEP_FILE_OVERRIDE_H
#define SWEEP_FILE_OVERRIDE_H

#include "lib/err.h"
#include <jansson.h>

int sweep_override(json_t *root, const char *word, struct err *err);

#endif
