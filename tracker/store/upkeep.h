/* tracker/store/upkeep.h - looking after a store: copies of artifacts, backup, what may
 * go.
 *
 * Artifacts are files where their runs left them; small ones may also be copied into
 * "FILE.artifacts", under the name that their content gives: ab/abcdef... (SHA-256). The
 * same content is there once. */
#ifndef TRACKER_STORE_UPKEEP_H
#define TRACKER_STORE_UPKEEP_H

#include "lib/buf.h"
#include "tracker/store/store.h"

/* Writes bytes into the folder of copies and logs them as an artifact of a living run. */
int store_keep_artifact(struct store *s, int64_t run, const char *name, const void *data,
                        size_t n, struct err *err);
/* A whole copy of one moment, while others go on writing; checked, then renamed to
 * `path`, which must not exist. */
int store_backup(struct store *s, const char *path, struct err *err);

/* {"file", "bytes", "log_bytes", "version", "experiments", "sweeps", "trials", "runs",
 * "running", "integrity", "foreign_keys"}; ERR_PARSE when it is damaged (*out is set all
 * the same). Reads the whole file. */
int store_examine(struct store *s, json_t **out, struct err *err);

/* What nothing refers to any more: copies of artifacts that no run names, and folders of
 * attempts of ended trials that count for nothing: neither the newest attempt nor the one
 * whose numbers count. Only paths of the form that store_run_dir gives are ever named.
 * The list is [{"path", "bytes", "why"}], biggest first; nothing is removed. */
json_t *store_garbage(struct store *s, struct err *err);

#endif
