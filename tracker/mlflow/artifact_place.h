/* tracker/mlflow/artifact_place.h - where an artifact is (inside tracker/mlflow). */
#ifndef TRACKER_MLFLOW_ARTIFACT_PLACE_H
#define TRACKER_MLFLOW_ARTIFACT_PLACE_H

#include "tracker/store/store.h"

struct artifact_place {
    int64_t run;
    char *folder; /* "FILE.mlartifacts/RUN", of what was put here; need not be there */
    const char *beside; /* ".mlartifacts/RUN" of that, whatever FILE is called now */
    const char *name;   /* within the path that was asked for; "" for all of the run's */
};

/* A row is of what was put here, also when it was written before the store and its folder
 * were moved, or copied by a backup. ?2 is `beside`. */
#define ARTIFACT_IS_PUT                                                                  \
    "substr(artifact.path, -length(?2 || '/' || artifact.name)) = "                      \
    "?2 || '/' || artifact.name"

enum { ARTIFACT_ID = 16 }; /* characters of a store's id, and of a run's number */

/* `named`: "" is none. ERR_CONFIG, ERR_NOINPUT: no such run. To be released in any case. */
int artifact_place_find(struct store *s, const char *path, bool named,
                        struct artifact_place *out, struct err *err);
void artifact_place_release(struct artifact_place *p);
/* -1: there is none. */
int artifact_folder_open(const char *path);

/* What the run logged by itself, by name. */
typedef int artifact_own(void *ctx, const char *name, const char *path, struct err *err);
int artifact_each_own(struct store *s, const struct artifact_place *p, artifact_own *take,
                      void *ctx, struct err *err);
/* Would a file put here stand in the way of what the run logged? 1, 0, or negative. */
int artifact_hides_own(struct store *s, const struct artifact_place *p, struct err *err);
/* What of `name` follows `head` and a '/'; "" where they are the same; NULL: it does not
 * begin so. All names follow "". */
const char *artifact_behind(const char *name, const char *head);

/* Of either kind; fd -1, and errno: there is none. */
struct artifact_opened {
    const char *name;
    int fd;
    bool is_folder;
    uint64_t size;
};
int artifact_place_open(struct store *s, const struct artifact_place *p,
                        struct artifact_opened *out, struct err *err);

#endif
