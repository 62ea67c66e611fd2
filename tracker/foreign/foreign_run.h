/* tracker/foreign/foreign_run.h - a run of another tracker on its way to becoming a trial.
 *
 * What a run becomes: a trial of its own, named by the tracker and the run's identifier
 * there ("wandb:x7k2p9qd"), so that importing again adds nothing and two runs of one
 * configuration stay two. Its parameters are the configuration, flat ("optim.lr"); the
 * seed is taken out of them where one is named ("seed", "random_seed", "args.seed").
 * Metrics keep their names, but "eval_loss" becomes "eval/loss", and so for train and
 * test. Steps are whole numbers from 0 on; of two values at one step the later counts, and
 * the other is kept as a further value of that step where it is known when it was logged
 * (as are values at steps below 0, which only MLflow has). The last value of a series is the
 * run's summary value, unless the tracker says another. How long a run took, and trained by
 * transformers' word, are its results time/total_s and time/train_s, as for trials of ours.
 *
 * A file that has grown since is taken again: exchange.h says what may have changed. For
 * that, values that the source itself wrote anew are told along ("before"). */
#ifndef TRACKER_FOREIGN_FOREIGN_RUN_H
#define TRACKER_FOREIGN_FOREIGN_RUN_H

#include "lib/hash.h"
#include "tracker/foreign/foreign.h"

enum {
    FOREIGN_MAX_VALUES = 1 << 22, /* of one run */
    FOREIGN_MAX_PARAMS = 4096
};

struct foreign_point {
    int64_t step, at_ms; /* at_ms: 0 not known */
    size_t order;        /* of arrival: the later one of a step counts */
    double value;
};
struct foreign_points {
    struct foreign_point *points;
    size_t count, cap;
};
struct foreign_series {
    char *key;
    struct foreign_point *points;
    size_t count, cap;
    struct foreign_points more; /* further values of steps */
    struct foreign_points gone; /* written anew, at this step or an earlier one */
};
struct foreign_run {
    struct foreign *into;
    const char *tracker; /* "wandb": a row's name */
    /* Owned; NULL where nothing is said. id and experiment must be there. */
    char *id, *experiment, *sweep, *name, *note, *host, *reason,
        *folder;         /* where it was read */
    json_t *params;      /* flat or a tree; the seed is looked for in it */
    json_t *tags;        /* {key: text} */
    json_t *environment; /* {} */
    json_t *summary;     /* {key: number or word}: more than the last values */
    json_t *events;      /* [[at_ms, kind, text], ...] */
    json_t *artifacts;   /* [{"name", "path", "bytes"}, ...] */
    struct foreign_series *series;
    size_t series_count, series_cap, values;
    struct strmap *by_key;
    enum trial_state state;       /* waiting: nothing ran */
    int attempt, exit_code;       /* from 1 on; -1: not known */
    int64_t started_ms, ended_ms; /* 0: not known */
    int64_t at_ms;                /* of the values that come now; 0: not known */
};
void foreign_run_init(struct foreign_run *r, struct foreign *into, const char *tracker);
void foreign_run_release(struct foreign_run *r);
/* The series of a key (renamed, see above), made where it is new; NULL where the key is
 * empty or too long. Valid until the next is made. */
struct foreign_series *foreign_series(struct foreign_run *r, const char *key);
/* A value at a step, in any order. ERR_CONFIG where there are too many. */
int foreign_value(struct foreign_run *r, const char *key, int64_t step, double value,
                  struct err *err);
/* The name that a metric has here, newly allocated; NULL where it can have none. */
char *foreign_metric_name(const char *key);
/* The points from this one on are no longer the series', since it was written anew. */
void foreign_series_cut(struct foreign_series *s, size_t from);
/* A summary value of its own. */
void foreign_summary(struct foreign_run *r, const char *key, double value);
/* A tag; one without a name that fits is left out. */
void foreign_tag(struct foreign_run *r, const char *key, const char *text, size_t len);
/* Takes over *field = text, without control characters and what is not UTF-8. */
void foreign_text(char **field, const char *text, size_t len);
/* {"optim": {"lr": 1}} -> {"optim.lr": 1} into `flat`; lists stay, what is null goes. */
void foreign_flatten(json_t *flat, const char *prefix, const json_t *tree);
/* Text of a JSON value in which Python may have written NaN and Infinity bare: they become
 * the words of exchange.h. NULL where it is none. */
json_t *foreign_json(const char *text, size_t len);
/* Somebody is writing it. True: it is left out (and counted); false: it is wanted as far as
 * it has come, as stale, which the next import of it goes on from. */
bool foreign_goes_on(struct foreign_run *r);
/* Nobody writes it any more, and it did not say how it ended: it failed. */
void foreign_unsaid(struct foreign_run *r);
/* Into the store. The run can be released afterwards. */
int foreign_give(struct foreign_run *r, struct err *err);

#endif
