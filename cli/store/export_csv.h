/* cli/store/export_csv.h - trials as tables for other programs (RFC 4180).
 *
 * A row per trial: what it is, its parameters, what it measured. Or a row per point of its
 * runs' curves, with when it was logged where that is known. Columns of parameters and
 * metrics stand in the order of the first trial that has them. */
#ifndef CLI_STORE_EXPORT_CSV_H
#define CLI_STORE_EXPORT_CSV_H

#include "tracker/store/store.h"
#include <stdio.h>

struct csv_wish {
    int64_t experiment, sweep; /* 0: all */
    bool series;               /* a row per point */
    bool varying; /* of parameters those that are not the same in all trials */
};
int export_csv(struct store *s, const struct csv_wish *wish, FILE *out, struct err *err);
/* What could not be written, by errno. */
int export_failed(struct err *err);

#endif
