/* cli/start/init.h - `peftlab init`, between its files: from a file of the user's to a
 * trial file and a sweep file, with what was seen told on the way.
 *
 *   1. init_find.c: which files hold the rows to train on, to choose by and to report on;
 *      one file alone is dealt into three (runner/data/look/look.h).
 *   2. init_look.c: what the rows are, how long in tokens, which base is meant.
 *   3. init_tell.c: says what was seen, and what is wrong with it.
 *   4. init_write.c: the two files; the sweep is `advise`'s first one, made smaller until
 *      its predicted time (init_predict.c) is within the budget.
 * Nothing is asked, and nothing of the user's is overwritten: what is in the way is
 * named. Files of his that a trial would refuse (rows without a label, labels of two
 * types) are copied without that. */
#ifndef CLI_START_INIT_H
#define CLI_START_INIT_H

#include "cli/decide/adviser.h"
#include "runner/data/look/look.h"

struct init_part {
    char *path;            /* of its rows; NULL: there are none */
    struct look_file rows; /* of a file that is dealt: only in LOOK_TRAIN, all of them */
    size_t count;
};

/* Tokens of a row, by the base's tokenizer. */
struct init_lengths {
    size_t counted; /* 0: the base is not here */
    int32_t median, p95, longest;
};

struct init {
    const json_t *values; /* of the command line */
    char *out;            /* folder of the two files */
    char *name;           /* of the sweep: a plain word */
    struct init_part parts[LOOK_PARTS];
    bool dealt;              /* from one file, which parts[LOOK_TRAIN] holds */
    enum look_part *dealing; /* per row of it; NULL: not dealt */
    bool copies;             /* the trials read copies in `out`, not the user's files */
    struct look_guess guess;
    struct look_same same[LOOK_PARTS]; /* in_other: in the training rows */
    char *model;
    bool model_is_here;
    struct init_lengths lengths;
    int32_t max_length;
    struct adviser adviser;
    size_t trials;  /* of the sweep that was written */
    bool at_most;   /* it stops when it is decided */
    double seconds; /* predicted; NaN: unknown */
};

/* `given`: a file, a folder, or NULL for the current one. */
/* Frees what the steps below made. */
void init_release(struct init *i);
int init_find(struct init *i, const char *given, struct err *err);
int init_look(struct init *i, struct err *err);
void init_tell(const struct init *i);
json_t *init_json(const struct init *i);
int init_write(struct init *i, struct err *err);
/* What a sweep file of this text, called `name` in the folder, will take: trials,
 * seconds. */
int init_predict(struct init *i, const char *text, const char *name, struct err *err);
void init_predict_forget(void); /* frees what it remembers */

/* Rows of the part that can be used. */
size_t init_rows(const struct init *i, enum look_part part);
bool init_is_language(const struct init *i);
/* "eval/macro_f1" and its goal. */
const char *init_metric(const struct init *i, const char **goal);

#endif
