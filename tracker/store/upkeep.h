/* tracker/store/upkeep.h - looking after a store: copies of artifacts, backup, what may
 * go.
 *
 * Artifacts are files where their runs left them; small ones may also be copied into
 * "FILE.artifacts", under the name that their content gives: ab/abcdef... (SHA-256). The
 * same content is there once. */
#ifndef TRACKER_STORE_UPKEEP_H
#define TRACKER_STORE_UPKEEP_H

#include "lib/buf.h"
#include "lib/hash.h"
#include "tracker/store/store.h"

/* Writes bytes into the folder of copies and logs them as an artifact of a living run. */
int store_keep_artifact(struct store *s, int64_t run, const char *name, const void *data,
                        size_t n, struct err *err);
/* The copy alone, for who logs it by himself: its SHA-256 and, newly allocated, its path. */
int store_keep_content(struct store *s, const void *data, size_t n,
                       char sha256[SHA256_HEX], char **path, struct err *err);
/* A copy by its SHA-256, which is checked: ERR_NOINPUT where it is gone (a store that was
 * copied without its folder), ERR_PARSE where it holds something else. */
int store_kept_content(const struct store *s, const char *sha256, size_t max,
                       struct buf *out, struct err *err);
/* All copies that runs name, as far as they are there, into those of another store. */
int store_copy_artifacts(struct store *s, const char *other_store, struct err *err);
char *store_copies_folder(const struct store *s); /* caller frees */
/* A whole copy of one moment, while others go on writing, with its copies of artifacts
 * and what MLflow's clients put (tracker/mlflow/artifacts.h); checked, then renamed to
 * `path`, which must not exist. */
int store_backup(struct store *s, const char *path, struct err *err);

/* {"file", "bytes", "log_bytes", "version", "experiments", "sweeps", "trials", "runs",
 * "running", "integrity", "foreign_keys"}; ERR_PARSE when it is damaged (*out is set all
 * the same). Reads the whole file. */
int store_examine(struct store *s, json_t **out, struct err *err);

/* What nothing refers to any more: copies of artifacts that no run names, files that were
 * put for runs that are not here, and folders of attempts of ended trials that count for
 * nothing: neither the newest attempt nor the one whose numbers count. Only paths of the
 * form that store_run_dir gives are ever named. The list is [{"path", "bytes", "why"}],
 * biggest first; nothing is removed. */
json_t *store_garbage(struct store *s, struct err *err);

#endif
