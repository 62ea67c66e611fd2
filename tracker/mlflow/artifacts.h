/* tracker/mlflow/artifacts.h - files that MLflow's clients put beside the store, and those
 * of our own runs as such a client sees them (mlflow-artifacts:, the artifact proxy).
 *
 * A path is EXPERIMENT/RUN/artifacts/NAME, as MLflow's artifact_uri has it. What is put lies
 * in "FILE.mlartifacts/RUN/NAME" beside the store FILE, and the `artifact` table names it, so
 * that everything else lists it too. What a run of ours logged otherwise (the adapter, the
 * trace) is where that table says: it is listed and read like the rest, never replaced or
 * removed. Of a run that came from elsewhere (import) only what was put here is given out:
 * a path that somebody else wrote names files of this machine that are not his.
 *
 * A path from outside goes through mlflow_artifact_path first, the others take what that
 * gives; files are opened beneath their folder (lib/os/beneath.h), links or not.
 *
 * A file is put in two steps, so that no transaction waits for a disk: _place brings it to
 * its place, by any store handle, _log writes its row; in between it is there and listed by
 * _list already, and the client, who has no answer yet, puts it again. Removing goes the
 * same way.
 *
 * Errors: ERR_CONFIG a path that is none, or is a folder where a file is needed;
 * ERR_NOINPUT no such run or file; ERR_USAGE what the run itself has logged; ERR_IO. */
#ifndef TRACKER_MLFLOW_ARTIFACTS_H
#define TRACKER_MLFLOW_ARTIFACTS_H

#include "tracker/store/store.h"

#define MLFLOW_ARTIFACT_MOST ((uint64_t)16 << 30) /* bytes of a file */

/* What was sent, unescaped until that changes nothing any more (at most 10 times), without
 * empty components and "."; refused: "..", absolute paths, drive letters, backslashes, '#',
 * control characters, what is not UTF-8, more than 48 components or 2 kB. The caller's. */
int mlflow_artifact_path(const char *sent, char **path, struct err *err);

/* "FILE.mlartifacts"; in it ".uploads" for what is on its way. Newly allocated. */
char *mlflow_artifact_folder(const char *store_path);
char *mlflow_artifact_uploads(const char *store_path);

/* The file `from`, of the same file system, becomes the artifact; it stays where this
 * fails. */
int mlflow_artifact_place(struct store *s, const char *path, const char *from,
                          struct err *err);
/* Of the file as it is now: another may be in its place already, or none. */
int mlflow_artifact_log(struct store *s, const char *path, struct err *err);
/* A file, open to be read; the caller's. */
int mlflow_artifact_open(struct store *s, const char *path, int *fd, uint64_t *size,
                         struct err *err);
/* What a folder has, by name: [{"path": its last component, "is_dir", "file_size"}]; empty
 * where there is nothing, as for a file. */
int mlflow_artifact_list(struct store *s, const char *path, json_t **files,
                         struct err *err);
/* A file or a folder that was put here. */
int mlflow_artifact_remove(struct store *s, const char *path, struct err *err);
int mlflow_artifact_forget(struct store *s, const char *path, struct err *err);

/* Copies all that was put here beside another store, which has the same runs. */
int mlflow_artifact_copy(const struct store *s, const char *other_store, struct err *err);
/* What may go: files of runs that the store does not have, and what a killed server left of
 * uploads. [{"path", "why"}] */
json_t *mlflow_artifact_garbage(struct store *s);

#endif
