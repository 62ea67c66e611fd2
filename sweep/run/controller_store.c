/* sweep/run/controller_store.c - the controller's view of the store, and what it tells
 * the user. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "sweep/run/controller.h"
#include "tracker/worker/sink.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEASE_MS 60000

const char *controller_name(const struct controller *c)
{
    return c->o->name ? c->o->name : c->file->name;
}

const char *controller_experiment(const struct controller *c)
{
    return c->o->experiment ? c->o->experiment : controller_name(c);
}

/* Rows of a query; takes over `bind`. */
static json_t *ask(struct controller *c, const char *sql, json_t *bind)
{
    json_t *result = store_query(c->store, sql, bind, SPACE_ROWS_MAX, c->err);
    json_decref(bind);
    return result;
}

/* "KEY SEED" -> row of the predictions that the store has. */
static struct strmap *index_known(const json_t *rows)
{
    struct strmap *known = strmap_new();
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        char *name = xasprintf("%s %lld", json_string_value(json_array_get(row, 0)),
                               (long long)json_integer_value(json_array_get(row, 1)));
        strmap_put(known, name, strlen(name), (int64_t)i);
        free(name);
    }
    return known;
}

/* What is still unknown of one trial. The number of updates often stands in the
 * configuration, which saves reading its data. */
int controller_predict_one(struct controller *c, struct sweep_trial *t)
{
    if (advance_needs_updates(c) && !c->advance.in_epochs && t->updates == 0) {
        const int64_t given = json_get_int(t->resolved, "max_steps", 0);
        t->updates = given > 0 ? given : 0;
    }
    const bool short_of = advance_needs_updates(c) && t->updates == 0;
    return t->peak_bytes < 0 || short_of
               ? sweep_plan_predict(c->plan, c->hooks, t, c->err)
               : 0;
}

static bool is_packed(const struct controller *c)
{
    return c->o->pack != 0 && c->o->pack != 1;
}

/* Predicting reads the data and plans the memory of each trial, so what an earlier start
 * of the sweep has predicted is taken from the store; but what trials in one process have in
 * common does not stand there. */
int controller_predict(struct controller *c)
{
    json_t *result =
        ask(c,
            "SELECT key, seed, predicted_bytes, predicted_s FROM trial_view WHERE "
            "sweep_name = ?1 AND experiment_name = ?2 AND predicted_bytes IS NOT NULL",
            json_pack("[s, s]", controller_name(c), controller_experiment(c)));
    if (!result)
        return err_code(c->err);
    const json_t *rows = json_object_get(result, "rows");
    struct strmap *known = index_known(rows);
    int rc = 0;
    for (size_t i = 0; i < c->count && rc >= 0; i++) {
        struct sweep_trial *t = &c->plan->trials[i];
        int64_t at;
        char *name = xasprintf("%s %llu", t->key, (unsigned long long)t->seed);
        if (t->peak_bytes < 0 && !is_packed(c) &&
            strmap_get(known, name, strlen(name), &at)) {
            const json_t *row = json_array_get(rows, (size_t)at);
            const json_t *seconds = json_array_get(row, 3);
            t->peak_bytes = json_integer_value(json_array_get(row, 2));
            t->seconds = json_is_number(seconds) ? json_number_value(seconds) : NAN;
        }
        rc = controller_predict_one(c, t);
        free(name);
    }
    strmap_free(known);
    json_decref(result);
    return rc;
}

struct trial_row controller_row(const struct controller *c, const struct sweep_trial *t,
                                int64_t number)
{
    return (struct trial_row){.sweep = c->sweep,
                              .experiment = c->experiment,
                              .number = number,
                              .key = t->key,
                              .seed = t->seed,
                              .base_dir = c->file->base_dir,
                              .config = t->resolved,
                              .params = t->params,
                              .predicted_bytes = t->peak_bytes,
                              .predicted_s = t->seconds,
                              .state = TRIAL_waiting};
}

static int by_id(const void *a, const void *b, void *trials)
{
    const struct ctl_trial *t = trials;
    int64_t x = t[*(const size_t *)a].id, y = t[*(const size_t *)b].id;
    return (x > y) - (x < y);
}

static void take_rows(struct controller *c, const struct trial_row *rows)
{
    c->trial_cap = c->by_id_cap = c->count + 1;
    c->trials = xcalloc(c->trial_cap, sizeof *c->trials);
    c->by_id = xcalloc(c->by_id_cap, sizeof *c->by_id);
    for (size_t i = 0; i < c->count; i++) {
        c->trials[i] = (struct ctl_trial){.t = &c->plan->trials[i], .id = rows[i].id};
        c->by_id[i] = i;
    }
    qsort_r(c->by_id, c->count, sizeof *c->by_id, by_id, c->trials);
}

/* A newer trial than all others. */
void controller_append(struct controller *c, const struct ctl_trial *t)
{
    c->trials = xgrow(c->trials, &c->trial_cap, c->count + 1, sizeof *c->trials);
    c->by_id = xgrow(c->by_id, &c->by_id_cap, c->count + 1, sizeof *c->by_id);
    c->trials[c->count] = *t;
    c->by_id[c->count] = c->count;
    c->count++;
    qsort_r(c->by_id, c->count, sizeof *c->by_id, by_id, c->trials);
}

static int set_budget(struct controller *c)
{
    const struct sweep_file *f = c->file;
    const struct store_budget budget = {.max_trials = (double)f->max_trials,
                                        .max_failures = (double)f->max_failures,
                                        .max_wall_s = f->max_wall_s,
                                        .max_hours = f->max_hours,
                                        .max_gpu_hours = f->max_gpu_hours,
                                        .max_usd = f->max_usd,
                                        .trial_timeout_s = f->trial_timeout_s,
                                        .gpus = f->gpus,
                                        .usd_per_core_hour = f->usd_per_core_hour,
                                        .usd_per_gpu_hour = f->usd_per_gpu_hour};
    return store_sweep_budget(c->store, c->sweep, &budget, c->err);
}

int controller_add(struct controller *c)
{
    size_t added = 0;
    int rc = store_experiment(c->store, controller_experiment(c), &c->experiment, c->err);
    if (rc >= 0)
        rc = store_sweep(c->store, c->experiment, controller_name(c),
                         conf_root(c->file->conf), c->file->base_dir, &c->sweep, c->err);
    if (rc >= 0)
        rc = store_sweep_stop(c->store, c->sweep, false, c->err);
    if (rc >= 0)
        rc = set_budget(c);
    if (rc < 0)
        return rc;
    struct trial_row *rows = xcalloc(c->count + 1, sizeof *rows);
    for (size_t i = 0; i < c->count; i++)
        rows[i] = controller_row(c, &c->plan->trials[i], (int64_t)i);
    rc = store_add_trials(c->store, rows, c->count, &added, c->err);
    if (rc == 0)
        take_rows(c, rows);
    free(rows);
    return rc;
}

struct ctl_trial *controller_find(struct controller *c, int64_t id)
{
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        struct ctl_trial *t = &c->trials[c->by_id[middle]];
        if (t->id == id)
            return t;
        if (t->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* How far the running trials are in what their runs set out to do. */
static int see_progress(struct controller *c)
{
    json_t *result =
               ask(c,
                   "SELECT t.id, e.text, (SELECT max(step) FROM series_view WHERE trial "
                   "= t.id AND "
                   "key = 'train/loss') FROM trial_view AS t JOIN event_view AS e ON "
                   "e.run = t.run "
                   "AND e.kind = 'planned' WHERE t.sweep = ?1 AND t.state = 'running'",
                   json_pack("[I]", (json_int_t)c->sweep)),
           *row;
    size_t r;
    json_array_foreach(json_object_get(result, "rows"), r, row)
    {
        long long from, to;
        const double step = json_number_value(json_array_get(row, 2));
        const char *text = json_string_value(json_array_get(row, 1));
        const bool known = text && sscanf(text, PLANNED_UPDATES, &from, &to) == 2;
        for (int i = 0; known && i < c->child_count; i++)
            if (c->trials[c->children[i].trial].id ==
                json_integer_value(json_array_get(row, 0)))
                c->children[i].share =
                    (step - (double)from + 1) / (double)(to - from + 1);
    }
    json_decref(result);
    return result ? 0 : err_code(c->err);
}

/* What was deleted before it came to an end is claimed by nobody: it counts as cancelled. */
int controller_refresh(struct controller *c)
{
    size_t i;
    json_t *row;
    int rc = store_reap(c->store, c->sweep, 1 + c->file->max_retries, NULL, c->err);
    if (rc >= 0)
        rc = store_sweep_stopped(c->store, c->sweep, &c->stop_requested, c->err);
    json_t *result = rc < 0 ? NULL
                            : ask(c,
                                  "SELECT id, iif(deleted_ms IS NOT NULL AND state IN "
                                  "('waiting', 'preempted'), 'cancelled', state), "
                                  "attempts, parent, deleted_ms IS NOT NULL FROM trial "
                                  "WHERE sweep = ?1 ORDER BY id",
                                  json_pack("[I]", (json_int_t)c->sweep));
    if (!result)
        return err_code(c->err);
    json_array_foreach(json_object_get(result, "rows"), i, row)
    {
        const int64_t id = json_integer_value(json_array_get(row, 0));
        struct ctl_trial *t = controller_find(c, id);
        const int state =
            trial_state_from_name(json_string_value(json_array_get(row, 1)));
        const int attempts = (int)json_integer_value(json_array_get(row, 2));
        const bool is_clone = json_is_integer(json_array_get(row, 3));
        const bool is_deleted = json_integer_value(json_array_get(row, 4)) != 0;
        if (t && state >= 0) {
            t->state = (enum trial_state)state;
            t->attempts = attempts;
        } else if (state >= 0 && rc >= 0 && !is_deleted &&
                   (is_clone || c->advance.sampler)) {
            rc = advance_adopt(c, id, (enum trial_state)state, attempts);
        } /* else of an earlier version of the file */
    }
    json_decref(result);
    c->refreshed = clock_mono_s();
    if (rc >= 0)
        rc = see_progress(c);
    return rc < 0 ? rc : advance_refresh(c);
}

int controller_end_trial(struct controller *c, struct ctl_trial *t,
                         enum trial_state state, int exit_code, const char *reason)
{
    struct run_claim claim;
    int rc = store_trial_close(c->store, t->id, state, reason, c->err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = store_claim(c->store, c->sweep, t->id, LEASE_MS, c->o->run_root, &claim, c->err);
    if (rc <= 0)
        return rc; /* somebody else has it now */
    return store_run_finish(c->store, claim.run, state, exit_code, reason, c->err);
}

/* The value of the sweep's metric, as " eval/accuracy 0.693". */
static void add_metric(struct controller *c, const struct ctl_trial *t, struct buf *out)
{
    if (!c->file->metric)
        return;
    json_t *result =
        ask(c, "SELECT value FROM summary_view WHERE trial = ?1 AND key = ?2",
            json_pack("[I, s]", (json_int_t)t->id, c->file->metric));
    json_t *value = json_array_get(json_array_get(json_object_get(result, "rows"), 0), 0);
    if (json_is_number(value))
        buf_printf(out, " %s %.4g", c->file->metric, json_number_value(value));
    json_decref(result);
}

static void add_warnings(const struct ctl_trial *t, int64_t count, struct buf *out)
{
    if (count)
        buf_printf(out, " (%lld warning%s: peftlab show %lld)", (long long)count,
                   count > 1 ? "s" : "", (long long)t->id);
}

/* How long it ran and, when it did not succeed, why. */
static void add_outcome(struct controller *c, const struct ctl_trial *t, struct buf *out)
{
    char text[32];
    json_t *result =
        ask(c,
            "SELECT duration_ms, reason, (SELECT count(*) FROM event_view WHERE "
            "event_view.run = trial_view.run AND kind = 'warning') FROM trial_view "
            "WHERE id = ?1",
            json_pack("[I]", (json_int_t)t->id));
    json_t *row = json_array_get(json_object_get(result, "rows"), 0);
    double seconds = json_number_value(json_array_get(row, 0)) / 1000;
    const char *reason = json_string_value(json_array_get(row, 1));
    buf_printf(out, " %s", str_duration(text, sizeof text, seconds));
    if (t->state == TRIAL_complete && isfinite(t->t->seconds)) {
        c->seen_s += seconds;
        c->seen_predicted_s += t->t->seconds;
    }
    if (t->state != TRIAL_complete && reason)
        buf_printf(out, ": %s", reason);
    add_warnings(t, json_integer_value(json_array_get(row, 2)), out);
    json_decref(result);
}

void controller_told(struct controller *c, struct ctl_trial *t)
{
    struct buf line = BUF_INIT;
    t->known_final = true;
    c->done++;
    c->failures += t->state != TRIAL_complete && t->state != TRIAL_pruned;
    buf_printf(&line, "[%zu/%zu] ", c->done, advance_total(c));
    sweep_label(&c->labels, t->t->params, t->t->seed, &line);
    buf_printf(&line, " %s", trial_state_name(t->state));
    add_outcome(c, t, &line);
    add_metric(c, t, &line);
    controller_show(c);
    progress_note(c->progress, buf_str(&line));
    buf_release(&line);
    controller_note_metrics(c, t);
}

/* Predicted seconds of what is left, scaled by how predictions did on what is done; of a
 * running trial by its share that is done, and where that is late none. -1: unknown. */
static double seconds_left(const struct controller *c)
{
    double seen = c->seen_s, predicted = c->seen_predicted_s, waiting = 0, running = 0;
    const double now = clock_mono_s();
    for (size_t i = 0; i < c->count; i++)
        if (!c->trials[i].known_final && !c->trials[i].held)
            waiting += c->trials[i].t->seconds;
    for (int i = 0; i < c->child_count; i++) {
        const struct ctl_child *child = &c->children[i];
        const double whole = c->trials[child->trial].t->seconds,
                     spent = now - child->started;
        waiting -= whole;
        if (child->share > 0) {
            seen += spent;
            predicted += whole * child->share;
            running += spent * (1 - child->share) / child->share;
        } else {
            running += fmax(whole - spent, 0);
        }
    }
    const double left = waiting * (predicted > 0 ? seen / predicted : 1) + running;
    if (left > 0) /* a NaN is not */
        return left / c->jobs;
    size_t finished = c->done - c->done_before;
    return finished ? (now - c->began) / (double)finished * (double)(c->count - c->done)
                    : -1;
}

void controller_show(struct controller *c)
{
    char extra[160] = "";
    if (c->failures)
        snprintf(extra, sizeof extra, "%zu without success", c->failures);
    if (c->no_more && c->child_count)
        snprintf(extra, sizeof extra, "%d still run%s, then it stops: %s", c->child_count,
                 c->child_count == 1 ? "s" : "", c->no_more);
    else if (c->no_more)
        snprintf(extra, sizeof extra, "stopping: %s", c->no_more);
    progress_set(c->progress, (double)c->done, (double)advance_total(c),
                 c->no_more ? -1 : seconds_left(c), extra);
}

int controller_summary(struct controller *c)
{
    size_t counts[TRIAL_STATE_COUNT] = {0};
    char text[32];
    for (size_t i = 0; i < c->count; i++)
        counts[c->trials[i].state]++;
    text_print(c->o->out, "sweep %lld '%s': %zu trials,", (long long)c->sweep,
               controller_name(c), c->count);
    for (int s = 0; s < TRIAL_STATE_COUNT; s++)
        if (counts[s])
            text_print(c->o->out, " %zu %s", counts[s],
                       trial_state_name((enum trial_state)s));
    text_print(c->o->out, ", in %s\n",
               str_duration(text, sizeof text, clock_mono_s() - c->began));
    if (c->advance.said)
        text_print(c->o->out, "%s\n", c->advance.said);
    return counts[TRIAL_complete] + counts[TRIAL_pruned] + counts[TRIAL_spared] ==
                   c->count
               ? 0
               : 1;
}
