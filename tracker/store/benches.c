/* tracker/store/benches.c - see benches.h. */
#include "tracker/store/benches.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "tracker/store/store_priv.h"
#include <stdlib.h>

const char *const bench_kind_names[BENCH_KIND_COUNT] = {
#define X(name) #name,
    BENCH_KINDS(X)
#undef X
};

enum { BEGIN, SETTING, POINT, FORGET_BATCHES, BATCH, END };
#define NAME(name) ", " #name
#define MARK(name) ", ?"
static const char *const sql[] = {
    [BEGIN] = ("INSERT INTO bench (file_json, base_dir, model, target, method, backend, "
               "machine, environment_json, limit_ms, requests_path, started_ms) VALUES "
               "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING id"),
    [SETTING] = ("INSERT OR REPLACE INTO bench_setting (bench, number, kind, adapters, "
                 "popularity, slots, batches" BENCH_SETTING_NUMBERS(
                     NAME) ") VALUES "
                           "(?, ?, ?, ?, ?, ?, ?" BENCH_SETTING_NUMBERS(MARK) ")"),
    [POINT] = ("INSERT OR REPLACE INTO bench_point (bench, kind" BENCH_POINT_COUNTS(NAME)
                   BENCH_POINT_NUMBERS(NAME) BENCH_STREAM_NUMBERS(
                       NAME) ") VALUES (?, ?" BENCH_POINT_COUNTS(MARK)
                       BENCH_POINT_NUMBERS(MARK) BENCH_STREAM_NUMBERS(MARK) ")"),
    [FORGET_BATCHES] = "DELETE FROM bench_batch WHERE bench = ?1 AND setting = ?2",
    [BATCH] = ("INSERT INTO bench_batch (bench, setting, number, point, rows, tokens, "
               "adapters, cold, seconds) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
    [END] = "UPDATE bench SET ended_ms = ?2 WHERE id = ?1",
};

static int exec_alone(struct store *s, const char *text, const struct arg *args,
                      struct err *err)
{
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    rc = store_exec(s, text, args, err);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

int store_bench_begin(struct store *s, const struct bench_about *a, int64_t *id,
                      struct err *err)
{
    char *file = json_dumps(a->file, JSON_COMPACT | JSON_ENCODE_ANY),
         *environment = json_dumps(a->environment, JSON_COMPACT);
    int rc = store_begin(s, err);
    if (rc == 0) {
        rc = store_int(s, sql[BEGIN],
                       ARGS(A_TEXT(file), A_TEXT(a->base_dir), A_TEXT(a->model),
                            A_TEXT(a->target), A_TEXT(a->method), A_TEXT(a->backend),
                            A_TEXT(a->machine), A_TEXT(environment), A_REAL(a->limit_ms),
                            A_TEXT(a->requests_path), A_INT(clock_wall_ms())),
                       id, err);
        rc = store_end(s, rc, err);
    }
    free(file);
    free(environment);
    return rc < 0 ? rc : 0;
}

#define COUNT(name)  , A_INT(x->name)
#define NUMBER(name) , A_REAL(x->name)

int store_bench_setting(struct store *s, int64_t bench, const struct bench_setting *x,
                        struct err *err)
{
    return exec_alone(s, sql[SETTING],
                      ARGS(A_INT(bench), A_INT(x->number),
                           A_TEXT(bench_kind_names[x->kind]), A_INT(x->adapters),
                           A_TEXT(x->popularity), A_ID(x->slots),
                           A_INT(x->batches) BENCH_SETTING_NUMBERS(NUMBER)),
                      err);
}

int store_bench_point(struct store *s, int64_t bench, const struct bench_point *x,
                      struct err *err)
{
    return exec_alone(s, sql[POINT],
                      ARGS(A_INT(bench),
                           A_TEXT(x->kind) BENCH_POINT_COUNTS(COUNT)
                               BENCH_POINT_NUMBERS(NUMBER) BENCH_STREAM_NUMBERS(NUMBER)),
                      err);
}

int store_bench_batches(struct store *s, int64_t bench, int64_t setting,
                        const struct batch_seen *seen, size_t count, struct err *err)
{
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    rc = store_exec(s, sql[FORGET_BATCHES], ARGS(A_INT(bench), A_INT(setting)), err);
    for (size_t i = 0; i < count && rc >= 0; i++) {
        const struct batch_seen *b = &seen[i];
        rc = store_exec(s, sql[BATCH],
                        ARGS(A_INT(bench), A_INT(setting), A_INT((int64_t)i),
                             A_INT(b->point), A_INT(b->rows), A_INT(b->tokens),
                             A_INT(b->adapters), A_INT(b->cold), A_REAL(b->seconds)),
                        err);
    }
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

int store_bench_end(struct store *s, int64_t bench, struct err *err)
{
    return exec_alone(s, sql[END], ARGS(A_INT(bench), A_INT(clock_wall_ms())), err);
}
