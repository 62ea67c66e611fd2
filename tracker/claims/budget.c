/* tracker/claims/budget.c - see budget.h. Adding up reads the runs of a sweep once per
 * claim, and only where a limit of time is set. */
#include "tracker/claims/budget.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/pool.h"
#include "lib/os/proc.h"
#include "tracker/store/store_priv.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    SET,
    GET,
    STARTED,
    FAILED,
    SPANS,
    OPEN,
};
/* The end of a run, as far as it counts. ?2 is now. */
#define ENDED                                                                            \
    "CASE run.state WHEN 'running' THEN ?2 WHEN 'stale' THEN run.heartbeat_ms ELSE "     \
    "run.ended_ms END"
static const char *const sql[] = {
    [SET] = "UPDATE sweep SET budget_json = ?2 WHERE id = ?1",
    [GET] = "SELECT budget_json FROM sweep WHERE id = ?1",
    [STARTED] = "SELECT count(*) FROM trial WHERE sweep = ?1 AND (attempts > 0 OR id = "
                "?2)",
    [FAILED] = "SELECT count(*) FROM trial WHERE sweep = ?1 AND state IN ('failed', "
               "'oom', 'nan', 'timeout')",
    [SPANS] = "SELECT run.started_ms, " ENDED ", run.cores, run.state = 'complete' FROM "
              "trial JOIN run ON run.trial = trial.id WHERE trial.sweep = ?1 ORDER BY "
              "run.started_ms",
    /* What runs, and trial ?3. */
    [OPEN] = "SELECT trial.id, trial.predicted_s, (SELECT sum(max(" ENDED
             " - run.started_ms, 0)) FROM run WHERE run.trial = trial.id), (SELECT "
             "run.cores FROM run WHERE run.id = trial.last_run), trial.state = 'running' "
             "FROM trial WHERE sweep = ?1 AND (state = 'running' OR id = ?3)",
};

#define HOUR_S 3600.0

/* ---- limits ---- */

int store_sweep_budget(struct store *s, int64_t sweep, const struct store_budget *b,
                       struct err *err)
{
    struct buf text = BUF_INIT;
    json_t *o = json_object();
#define X(name)                                                                          \
    if (b->name > 0)                                                                     \
        json_object_set_new(o, #name, json_real(b->name));
    BUDGET_FIELDS(X)
#undef X
    json_write(&text, o, 0);
    json_decref(o);
    int rc = store_begin(s, err);
    if (rc == 0) {
        rc = store_exec(s, sql[SET], ARGS(A_INT(sweep), A_TEXT(buf_str(&text))), err);
        if (rc == 0)
            rc = err_set(err, ERR_NOINPUT, "store '%s' has no sweep %lld", s->path,
                         (long long)sweep);
        rc = store_end(s, rc, err);
    }
    buf_release(&text);
    return rc < 0 ? rc : 0;
}

int store_sweep_limits(struct store *s, int64_t sweep, struct store_budget *b,
                       struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    *b = (struct store_budget){0};
    int rc = store_statement(s, sql[GET], ARGS(A_INT(sweep)), &stmt, err);
    if (rc < 0)
        return rc;
    rc = store_step(s, stmt, err);
    const char *text = rc > 0 ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    json_t *o = text ? json_parse(text, strlen(text), s->path, err) : NULL;
    store_done(stmt);
    if (rc < 0 || (text && !o))
        return rc < 0 ? rc : err_context(err, "budget of sweep %lld: ", (long long)sweep);
#define X(name) b->name = json_get_num(o, #name, 0);
    BUDGET_FIELDS(X)
#undef X
    json_decref(o);
    return 0;
}

bool store_budget_is_set(const struct store_budget *b)
{
    return b->max_trials > 0 || b->max_failures > 0 || b->max_wall_s > 0 ||
           b->max_hours > 0 || b->max_gpu_hours > 0 || b->max_usd > 0;
}

/* ---- use ---- */

struct sums {
    double wall_ms, core_ms, gpu_ms;
    double complete_ms, complete; /* for the mean */
};

static int add_spans(struct store *s, int64_t sweep, int64_t now, double gpus,
                     struct sums *sums, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int64_t covered = INT64_MIN; /* end of the union so far */
    int rc = store_statement(s, sql[SPANS], ARGS(A_INT(sweep), A_INT(now)), &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0) {
        int64_t from = sqlite3_column_int64(stmt, 0), to = sqlite3_column_int64(stmt, 1);
        if (to <= from)
            continue;
        const double ms = (double)(to - from);
        sums->core_ms += ms * sqlite3_column_double(stmt, 2);
        sums->gpu_ms += ms * gpus;
        if (sqlite3_column_int(stmt, 3)) {
            sums->complete_ms += ms;
            sums->complete++;
        }
        if (to > covered) {
            sums->wall_ms += (double)(to - (from > covered ? from : covered));
            covered = to;
        }
    }
    store_done(stmt);
    return rc;
}

/* Seconds that a trial still needs: by prediction, by the others, by its limit. */
static double seconds_left(const struct store_budget *b, const struct sums *sums,
                           double predicted_s, double spent_s)
{
    double whole = predicted_s;
    if (!isfinite(whole))
        whole = sums->complete ? sums->complete_ms / sums->complete / 1000
                               : b->trial_timeout_s;
    if (b->trial_timeout_s > 0)
        whole = fmin(whole, b->trial_timeout_s);
    return fmax(whole - spent_s, 0);
}

/* Reserves for what runs and for the candidate, whose own seconds go to *needs_s. */
static int add_reserved(struct store *s, int64_t sweep, int64_t candidate, int64_t now,
                        const struct store_budget *b, const struct sums *sums,
                        struct store_use *use, double *needs_s, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(
        s, sql[OPEN], ARGS(A_INT(sweep), A_INT(now), A_INT(candidate)), &stmt, err);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, stmt, err)) > 0) {
        const bool is_candidate = sqlite3_column_int64(stmt, 0) == candidate;
        const bool known = sqlite3_column_type(stmt, 1) != SQLITE_NULL;
        const double left =
            seconds_left(b, sums, known ? sqlite3_column_double(stmt, 1) : NAN,
                         sqlite3_column_double(stmt, 2) / 1000);
        const double cores = is_candidate ? pool_size() : sqlite3_column_double(stmt, 3);
        use->reserved_core_hours += left * cores / HOUR_S;
        use->reserved_gpu_hours += left * b->gpus / HOUR_S;
        use->running += sqlite3_column_int(stmt, 4);
        if (is_candidate)
            *needs_s = left;
    }
    store_done(stmt);
    return rc;
}

/* What is used when `candidate` (0: none) were started now. */
static int add_up(struct store *s, int64_t sweep, int64_t candidate,
                  const struct store_budget *b, struct store_use *use, double *needs_s,
                  struct err *err)
{
    const int64_t now = clock_wall_ms();
    struct sums sums = {0};
    int64_t started = 0, failed = 0;
    *use = (struct store_use){0};
    *needs_s = 0;
    /* Without a limit somebody only wants to know. */
    const bool timed = !store_budget_is_set(b) || b->max_wall_s > 0 || b->max_hours > 0 ||
                       b->max_gpu_hours > 0 || b->max_usd > 0;
    int rc =
        store_int(s, sql[STARTED], ARGS(A_INT(sweep), A_INT(candidate)), &started, err);
    if (rc >= 0)
        rc = store_int(s, sql[FAILED], ARGS(A_INT(sweep)), &failed, err);
    if (rc >= 0 && timed)
        rc = add_spans(s, sweep, now, b->gpus, &sums, err);
    if (rc >= 0)
        rc = add_reserved(s, sweep, candidate, now, b, &sums, use, needs_s, err);
    if (rc < 0)
        return rc;
    const double core_price =
        b->usd_per_core_hour > 0 ? b->usd_per_core_hour : BUDGET_USD_PER_CORE_HOUR;
    const double price = b->gpus > 0 ? b->usd_per_gpu_hour : core_price;
    use->trials = (double)started;
    use->failures = (double)failed;
    use->wall_s = sums.wall_ms / 1000;
    use->core_hours = sums.core_ms / 1000 / HOUR_S + use->reserved_core_hours;
    use->gpu_hours = sums.gpu_ms / 1000 / HOUR_S + use->reserved_gpu_hours;
    use->usd = price * (b->gpus > 0 ? use->gpu_hours : use->core_hours);
    use->reserved_usd =
        price * (b->gpus > 0 ? use->reserved_gpu_hours : use->reserved_core_hours);
    return 0;
}

int store_sweep_use(struct store *s, int64_t sweep, struct store_budget *b,
                    struct store_use *use, struct err *err)
{
    double needs_s;
    int rc = store_sweep_limits(s, sweep, b, err);
    return rc < 0 ? rc : add_up(s, sweep, 0, b, use, &needs_s, err);
}

/* ---- decision ---- */

/* A sum of many small numbers may end a little above what it should be. */
static bool above(double used, double limit)
{
    return limit > 0 && used > limit * (1 + 1e-9);
}

static int refuse(char why[BUDGET_WHY_MAX], const char *limit, double used, double max,
                  double now)
{
    if (now >= max)
        snprintf(why, BUDGET_WHY_MAX, "budget.%s is used up: %.6g of %.6g", limit, now,
                 max);
    else
        snprintf(why, BUDGET_WHY_MAX,
                 "the next trial does not fit budget.%s: %.6g of %.6g are used, with it "
                 "it would be %.6g",
                 limit, now, max, used);
    return 0;
}

/* 1: within all limits; 0 and the reason. */
static int decide(const struct store_budget *b, const struct store_use *use,
                  double needs_s, char why[BUDGET_WHY_MAX])
{
    if (above(use->trials, b->max_trials))
        return refuse(why, "max_trials", use->trials, b->max_trials, use->trials - 1);
    if (b->max_failures > 0 && use->failures >= b->max_failures)
        return refuse(why, "max_failures", use->failures, b->max_failures, use->failures);
    if (b->max_wall_s > 0 &&
        (use->wall_s >= b->max_wall_s || above(use->wall_s + needs_s, b->max_wall_s)))
        return refuse(why, "max_wall (seconds)", use->wall_s + needs_s, b->max_wall_s,
                      use->wall_s);
    const struct {
        const char *name;
        double used, reserved, max;
    } rows[] = {
        {"max_hours", use->core_hours, use->reserved_core_hours, b->max_hours},
        {"max_gpu_hours", use->gpu_hours, use->reserved_gpu_hours, b->max_gpu_hours},
        {"max_usd", use->usd, use->reserved_usd, b->max_usd},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].max > 0 && (above(rows[i].used, rows[i].max) ||
                                rows[i].used - rows[i].reserved >= rows[i].max))
            return refuse(why, rows[i].name, rows[i].used, rows[i].max,
                          rows[i].used - rows[i].reserved);
    return 1;
}

int store_budget_allows(struct store *s, int64_t sweep, int64_t trial,
                        char why[BUDGET_WHY_MAX], bool *wait, struct err *err)
{
    struct store_budget b;
    struct store_use use;
    double needs_s;
    why[0] = '\0';
    *wait = false;
    int rc = store_sweep_limits(s, sweep, &b, err);
    if (rc < 0)
        return rc;
    if (!store_budget_is_set(&b))
        return 1;
    rc = add_up(s, sweep, trial, &b, &use, &needs_s, err);
    if (rc < 0)
        return rc;
    rc = decide(&b, &use, needs_s, why);
    /* Trials and failures only grow; reserved time comes back. */
    *wait = rc == 0 && use.running > 0 && !above(use.trials, b.max_trials) &&
            !(b.max_failures > 0 && use.failures >= b.max_failures);
    return rc;
}

int store_claim_refused(struct store *s, int64_t trial, struct err *err)
{
    struct trial_row row;
    char why[BUDGET_WHY_MAX] = "";
    bool wait, stopped = false;
    int rc = store_get_trial(s, trial, &row, err);
    if (rc < 0)
        return rc;
    const int64_t sweep = row.sweep;
    const bool waits = row.state == TRIAL_waiting || row.state == TRIAL_preempted;
    trial_row_release(&row);
    if (sweep && waits)
        rc = store_sweep_stopped(s, sweep, &stopped, err);
    if (rc >= 0 && sweep && waits && !stopped)
        rc = store_budget_allows(s, sweep, trial, why, &wait, err);
    if (rc < 0)
        return rc;
    return err_set(err, ERR_BUSY, "trial %lld %s%s", (long long)trial,
                   *why ? "may not start: " : "",
                   stopped ? "may not start: its sweep was stopped"
                   : *why  ? why
                           : "is not waiting: somebody works on it, or it is finished");
}
