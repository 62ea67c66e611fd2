/* sweep/file/file_parts.h - what the files that read a sweep file share; for the files of
 * sweep/file only. */
#ifndef SWEEP_FILE_FILE_PARTS_H
#define SWEEP_FILE_FILE_PARTS_H

#include "sweep/file/sweep_file.h"

extern const struct opt_table sweep_top_table, sweep_metric_table, sweep_early_table,
    sweep_sampler_table, sweep_budget_table, sweep_retry_table, sweep_executor_table,
    sweep_param_table, sweep_until_table;

/* Checks a mapping against an option table: every key known, every value of its type.
 * Gives the normalised values (only the keys that are there; null counts as absent). */
int file_section(const struct sweep_file *f, const char *path, const json_t *object,
                 const struct opt_table *table, json_t **out, struct err *err);

/* `parameters`, exclude and include, and the order of evaluation (params.c,
 * entries.c). */
int file_params(struct sweep_file *f, const json_t *object, const struct opt_table *keys,
                struct err *err);
int file_entries(struct sweep_file *f, const json_t *exclude, const json_t *include,
                 const struct opt_table *keys, struct err *err);
int file_order(struct sweep_file *f, struct err *err);
/* `until`, after the seeds, to which it adds. */
int file_until(struct sweep_file *f, const json_t *value, struct err *err);
/* A canonical value, with its expression parsed when it is one. */
int file_choice(const struct sweep_file *f, const char *path, const json_t *value,
                struct sweep_choice *out, struct err *err);

#endif
