/* runner/convert/merged_base.h - an adapter merged into its base, as a folder that is there
 * for as long as it is needed. */
#ifndef RUNNER_CONVERT_MERGED_BASE_H
#define RUNNER_CONVERT_MERGED_BASE_H

#include "runner/convert/convert.h"
#include "runner/merge.h"

/* Merges the adapter of `c` into a new folder `dir`. *base: where its base's tokenizer is,
 * the caller's. */
int merged_base_write(const struct convert *c, const char *dir, char **base,
                      struct merge_report *report, struct err *err);

#endif
