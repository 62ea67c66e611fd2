/* tracker/store/store_priv.h - what the files of the store share: the handle, its
 * transactions, its statements.
 *
 * A store belongs to one thread of one process (open it again after fork). Every write is
 *     store_begin ... store_commit, or store_rollback on failure (store_end does both).
 * Within one that is open these make savepoints: what fails is taken back alone, and all is
 * there or not with the outermost commit (cli/ui groups the writes of many clients so).
 * store_begin takes the *turn* first: an exclusive flock on "FILE-lock". SQLite
 * before 3.51.3 can lose a commit when a checkpoint overlaps another connection's commit
 * ("WAL-reset race"), so here automatic checkpoints are off and a checkpoint is only made
 * by the holder of the turn. Readers need no turn.
 *
 * Each file keeps its SQL texts in one table `sql[]`; the address of a text is the key of
 * the statement cache, so only texts of static storage may be passed. Arguments are
 * typed: store_exec(s, sql[ADD], ARGS(A_INT(id), A_TEXT(name)), err) */
#ifndef TRACKER_STORE_STORE_PRIV_H
#define TRACKER_STORE_STORE_PRIV_H

#include "lib/buf.h"
#include "lib/hash.h"
#include "tracker/store/store.h"
#include <sqlite3.h>

#define STORE_VERSION        7          /* user_version of schema.sql */
#define STORE_APPLICATION_ID 0x50454654 /* "PEFT" */
#define STORE_BUSY_MS        30000      /* how long a write waits for others */
#define STORE_MAX_NAME       65536      /* bytes of a name or a metric key */
#define STORE_MAX_TEXT       (1 << 20)  /* bytes of a reason or an event; longer is cut */

struct store_statement {
    const char *text; /* identity, not content */
    sqlite3_stmt *stmt;
};

struct store {
    sqlite3 *db;
    char *path;  /* absolute */
    int turn_fd; /* "FILE-lock", -1 for readers */
    bool writable;
    bool leave_alone; /* refused: closing must not touch the file */
    int depth;        /* of transactions, 0: none is open */
    int wal_pages;    /* size of the log after the last commit */
    char id[64];      /* see store_id */
    struct store_statement *cache;
    size_t cache_count, cache_cap;
    struct strmap *metric_keys; /* name -> metric_key.id */
};

/* ---- turn.c: one writer or checkpointer at a time ---- */
int turn_open(struct store *s, struct err *err);
int turn_take(struct store *s, int wait_ms, struct err *err);
void turn_give(struct store *s);
bool turn_is_network_fs(const char *path, const char **name); /* NFS, SMB, Lustre, ... */

/* ---- sql.c: statements and transactions ---- */
enum arg_type { ARG_END, ARG_NULL, ARG_INT, ARG_REAL, ARG_TEXT };
struct arg {
    enum arg_type type;
    int64_t i;
    double d;
    const char *s;
};
#define A_INT(x)                                                                         \
    {                                                                                    \
        .type = ARG_INT, .i = (x)                                                        \
    }
#define A_ID(x) /* 0 is NULL */                                                          \
    {                                                                                    \
        .type = (x) ? ARG_INT : ARG_NULL, .i = (x)                                       \
    }
#define A_SIZE(x) /* below 0 is NULL */                                                  \
    {                                                                                    \
        .type = (x) >= 0 ? ARG_INT : ARG_NULL, .i = (x)                                  \
    }
#define A_REAL(x) /* NaN is NULL */                                                      \
    {                                                                                    \
        .type = ARG_REAL, .d = (x)                                                       \
    }
#define A_TEXT(x) /* NULL is NULL */                                                     \
    {                                                                                    \
        .type = (x) ? ARG_TEXT : ARG_NULL, .s = (x)                                      \
    }
#define ARGS(...)                                                                        \
    (const struct arg[])                                                                 \
    {                                                                                    \
        __VA_ARGS__,                                                                     \
        {                                                                                \
            .type = ARG_END                                                              \
        }                                                                                \
    }

/* An SQLite failure as an error of ours: busy, full, damaged, ... */
int store_sql_error(struct store *s, int sqlite_code, const char *doing, struct err *err);
/* A cached statement with arguments bound (texts must live until store_done). */
int store_statement(struct store *s, const char *text, const struct arg *args,
                    sqlite3_stmt **out, struct err *err);
/* 1: a row, 0: no more, negative: failed. */
int store_step(struct store *s, sqlite3_stmt *stmt, struct err *err);
void store_done(sqlite3_stmt *stmt);
/* Runs to the end, ignoring rows. Returns how many rows were changed. */
int store_exec(struct store *s, const char *text, const struct arg *args,
               struct err *err);
/* First column of the first row: 1 and *out, or 0 without a row. NULL gives 0. */
int store_int(struct store *s, const char *text, const struct arg *args, int64_t *out,
              struct err *err);
int store_script(struct store *s, const char *text, struct err *err);
char *store_column_text(sqlite3_stmt *stmt, int column); /* copied; NULL stays NULL */
/* What tells this store from others: 16 hexadecimal digits; NULL with an error. */
const char *store_id(struct store *s, struct err *err);

int store_begin(struct store *s, struct err *err);
int store_commit(struct store *s, struct err *err);
void store_rollback(struct store *s);
int store_end(struct store *s, int rc, struct err *err); /* rc >= 0: commit */

/* A name that goes into the store: not empty, valid UTF-8, not too long. */
int store_check_name(const char *what, const char *name, struct err *err);
/* Text from anywhere, made valid UTF-8 and cut at STORE_MAX_TEXT with a mark, without
 * secrets. NULL stays NULL; caller frees. */
char *store_repair_text(const char *text);

/* ---- schema_check.c ---- */
/* ERR_PARSE where tables, views and indexes are not those that `scripts` (NULL at the end)
 * make, or where there is a trigger. */
int store_check_schema(struct store *s, const char *const *scripts, struct err *err);

/* ---- metrics.c ---- */
/* SQLite turns NaN into NULL and -0 into 0; the column `kind` keeps what they were. */
enum value_kind { KIND_NUMBER, KIND_NAN, KIND_INF, KIND_MINUS_INF, KIND_MINUS_ZERO };
enum value_kind store_value_kind(double v);
double store_value(sqlite3_stmt *stmt, int value_column, int kind_column);
/* The number of a metric's name, made where it is new (inside a transaction). */
int store_metric_key(struct store *s, const char *name, int64_t *id, struct err *err);
/* Inside a transaction: one value of a run, whether it is alive or not, and when it was
 * logged; below 0: not known. */
int store_put_metric(struct store *s, int64_t run, const struct metric_point *p,
                     struct err *err);
int store_put_metric_at(struct store *s, int64_t run, const struct metric_point *p,
                        int64_t at_ms, struct err *err);
/* A further value of a step (metric_more); one that is there already stays one. */
int store_put_more(struct store *s, int64_t run, int64_t key, int64_t step, double value,
                   int64_t at_ms, struct err *err);

/* ---- claims.c ---- */
/* Inside a transaction: the run must be alive. ERR_BUSY when its lease was lost. */
int store_require_alive(struct store *s, int64_t run, struct err *err);
/* True when the run is known not to be running any more; false when unsure. */
bool store_run_is_over(struct store *s, int64_t run);

/* ---- slices.c ---- */
/* Inside a transaction: what a trial that was stopped for good ends as, and why; *reason
 * is freed and replaced. Leaves both alone where nothing of the kind was asked. */
int store_stop_outcome(struct store *s, int64_t trial, enum trial_state *state,
                       char **reason, struct err *err);

#endif
