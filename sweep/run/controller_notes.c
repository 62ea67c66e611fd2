/* sweep/run/controller_notes.c - what a user should hear early: a metric that no trial
 * reports, results of another command or script. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "sweep/launch/user_command.h"
#include "sweep/run/controller.h"
#include <stdlib.h>
#include <string.h>

#define NAMES_SHOWN 6

static json_t *rows_of(struct controller *c, const char *sql, json_t *bind)
{
    json_t *result = store_query(c->store, sql, bind, 2000, NULL);
    json_t *rows = json_incref(json_object_get(result, "rows"));
    json_decref(bind);
    json_decref(result);
    return rows;
}

/* Finished without this metric: its name, the nearest that is there, what else is. */
static void note_missing(struct controller *c, const char *wanted, const char **names,
                         size_t count, int64_t trial)
{
    struct buf line = BUF_INIT;
    const char *near = str_nearest(wanted, names, count);
    buf_printf(&line, "note: trial %lld has ended without the metric %s",
               (long long)trial, wanted);
    if (near)
        buf_printf(&line, "; did you mean %s?", near);
    buf_str_add(&line, !count ? ": it has none at all" : near ? " It has" : ". It has");
    for (size_t i = 0; i < count && i < NAMES_SHOWN; i++)
        buf_printf(&line, "%s %s", i ? "," : "", names[i]);
    buf_str_add(&line, count > NAMES_SHOWN ? ", ..." : "");
    progress_note(c->progress, buf_str(&line));
    buf_release(&line);
}

void controller_note_metrics(struct controller *c, const struct ctl_trial *t)
{
    const struct sweep_file *f = c->file;
    if (c->metrics_looked_at || t->state != TRIAL_complete || !f->metric)
        return;
    c->metrics_looked_at = true;
    json_t *rows =
        rows_of(c, "SELECT key FROM summary_view WHERE trial = ?1 ORDER BY key",
                json_pack("[I]", (json_int_t)t->id));
    const size_t count = json_array_size(rows);
    const char **names = xcalloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = json_string_value(json_array_get(json_array_get(rows, i), 0));
    for (size_t k = 0; k < (f->objective_count ? f->objective_count : 1); k++) {
        const char *wanted = f->objective_count ? f->objectives[k].name : f->metric;
        size_t i = 0;
        while (i < count && strcmp(names[i], wanted))
            i++;
        if (i == count)
            note_missing(c, wanted, names, count, t->id);
    }
    free(names);
    json_decref(rows);
}

#define FINISHED                                                                         \
    " FROM run_view JOIN trial_view ON trial_view.run = run_view.id WHERE "              \
    "trial_view.sweep = ?1 AND trial_view.state IN ('complete', 'pruned') AND "          \
    "environment ->> 'program' IS NOT NULL AND "
#define SAME_COMMAND                                                                     \
    "environment -> 'command' IS json(?2) AND environment ->> 'program' IS ?3"

static void say_other(struct controller *c, int64_t trials, const char *how,
                      const char *what)
{
    text_print(c->o->out,
               "note: %lld finished trial%s ran %s (%s) and %s not run again; 'sweep run "
               "--name NAME' runs all of the file under another name\n",
               (long long)trials, trials > 1 ? "s" : "", how, what,
               trials > 1 ? "are" : "is");
}

/* Runs of this command whose script was another: which one, by its name. */
static void note_scripts(struct controller *c, const json_t *now, json_t *bind)
{
    json_t *rows = rows_of(c,
                           "SELECT environment -> 'scripts', count(*)" FINISHED
                           "environment -> 'scripts' IS NOT NULL AND " SAME_COMMAND
                           " GROUP BY 1",
                           bind),
           *row, *hash;
    const char *name, *changed = NULL;
    int64_t trials = 0;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        const char *text = json_string_value(json_array_get(row, 0));
        json_t *then = text ? json_parse(text, strlen(text), "scripts", NULL) : NULL;
        bool differs = false;
        json_object_foreach((json_t *)now, name, hash)
        {
            const json_t *had = json_object_get(then, name);
            if (!had || json_equal((json_t *)had, hash))
                continue;
            changed = name;
            differs = true;
        }
        trials += differs ? json_integer_value(json_array_get(row, 1)) : 0;
        json_decref(then);
    }
    if (changed)
        say_other(c, trials, "a script that has changed since", changed);
    json_decref(rows);
}

void controller_note_command(struct controller *c)
{
    if (!c->file->drives_command)
        return;
    json_t *now = json_object(), *rows;
    struct buf items = BUF_INIT;
    user_command_identity(conf_root(c->file->conf), c->file->base_dir, now);
    json_t *shown =
        secret_json(json_object_get(now, "command")); /* as the store has it */
    json_write(&items, shown, 0);
    json_decref(shown);
    json_t *bind = json_pack("[I, s, s]", (json_int_t)c->sweep, buf_str(&items),
                             json_get_str(now, "program", ""));
    rows = rows_of(c,
                   "SELECT count(*), min(environment ->> 'command')" FINISHED
                   "NOT (" SAME_COMMAND ")",
                   json_incref(bind));
    const json_t *row = json_array_get(rows, 0);
    const int64_t count = json_integer_value(json_array_get(row, 0));
    if (count)
        say_other(c, count, "another command", json_string_value(json_array_get(row, 1)));
    note_scripts(c, json_object_get(now, "scripts"), bind);
    buf_release(&items);
    json_decref(rows);
    json_decref(now);
}
