/* tracker/foreign/optuna.c - studies in Optuna's SQLite storage (3.0 and later).
 *
 * The file's name without its ending is the experiment, a study a sweep, which states the
 * objectives and their directions as a sweep file does; the study's attributes are its
 * note. A trial is named by study and number. A parameter's value is kept there as a
 * number and what it means as a distribution: a choice is an index, a whole number a real
 * one. An objective is called as set_metric_names says, else "value", or "value_0", ... of
 * several; what was reported on the way is the series of the one objective. Of attributes,
 * the user's are tags and the system's are Optuna's own affair.
 *
 * Trials that wait are left out, those that run too, unless nobody has the file open: then
 * their program ended without a word. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/foreign/foreign_run.h"
#include "tracker/foreign/tables.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OPTUNA_VERSIONS "v3.0.0.d|v3.2.0.a"
#define OPTUNA_TABLES                                                                    \
    "studies|study_directions|study_user_attributes|study_system_attributes|trials|"     \
    "trial_params|trial_values|trial_intermediate_values|trial_user_attributes|"         \
    "alembic_version"
/* Optuna writes the writer's local time. */
#define UNIX_MS(column)                                                                  \
    "CAST(round((julianday(" column ", 'utc') - 2440587.5) * 86400000.0) AS INTEGER)"

struct optuna {
    struct foreign *into;
    struct tables tables;
    char *experiment;
    int64_t study_id;
    const char *study;
    json_t *names, *goals; /* of the study's objectives */
    size_t trials;
};

bool foreign_is_optuna(const char *path)
{
    return tables_look(path, "studies|study_directions|trials|trial_params");
}

/* ---- a trial ---- */

/* What the number kept for a parameter means; NULL where that is not known. */
static json_t *outer_value(double kept, const char *distribution, size_t len)
{
    json_t *d = foreign_json(distribution, len), *v = NULL;
    const char *name = json_get_str(d, "name", "");
    const json_t *choices = json_object_get(json_object_get(d, "attributes"), "choices");
    if (strstr(name, "Categorical")) {
        if (kept >= 0 && kept < (double)json_array_size(choices))
            v = json_incref(json_array_get(choices, (size_t)kept));
        if (json_is_null(v))
            v = json_string("None");
    } else if (str_has_prefix(name, "Int") && fabs(kept) < 9007199254740992.0) {
        v = json_integer((json_int_t)kept);
    } else if (*name) {
        v = json_number_or_word(kept);
    }
    json_decref(d);
    return v;
}

static int take_param(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct foreign_run *r = ctx;
    size_t len;
    const char *distribution = column_text(row, 2, &len);
    char *name = str_clean(column_text(row, 0, NULL), strlen(column_text(row, 0, NULL)));
    json_t *v = outer_value(sqlite3_column_double(row, 1), distribution, len);
    (void)err;
    if (v)
        json_object_set_new(r->params, name, v);
    else
        foreign_left_out(r->into, "parameters of an unknown distribution", 1);
    free(name);
    return 0;
}

/* A value of two columns, from `column` on: the number, and what it is where it is none. */
static double typed_value(sqlite3_stmt *row, int column)
{
    static const struct {
        const char *type;
        double value;
    } words[] = {{"INF_POS", INFINITY}, {"INF_NEG", -INFINITY}, {"NAN", NAN}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (column_is(row, column + 1, words[i].type))
            return words[i].value;
    return sqlite3_column_type(row, column) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(row, column);
}

struct trial {
    struct optuna *of;
    struct foreign_run *run;
};

static const char *objective_name(const struct optuna *o, int64_t objective)
{
    return objective < 0 ? NULL
                         : json_string_value(json_array_get(o->names, (size_t)objective));
}

static int take_objective(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct trial *t = ctx;
    const char *name = objective_name(t->of, sqlite3_column_int64(row, 0));
    (void)err;
    if (name)
        foreign_summary(t->run, name, typed_value(row, 1));
    else
        foreign_left_out(t->run->into, "values of an unknown objective", 1);
    return 0;
}

static int take_intermediate(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct trial *t = ctx;
    const char *name =
        json_array_size(t->of->names) == 1 ? objective_name(t->of, 0) : "intermediate";
    return foreign_value(t->run, name, sqlite3_column_int64(row, 0), typed_value(row, 1),
                         err);
}

/* The user's attribute as text: texts without their quotes. */
static char *attribute_text(sqlite3_stmt *row, int column)
{
    size_t len;
    const char *text = column_text(row, column, &len);
    json_t *v = foreign_json(text, len);
    char *out =
        v && json_is_string(v) ? xstrdup(json_string_value(v)) : xstrndup(text, len);
    json_decref(v);
    return out;
}

static int take_attribute(void *ctx, sqlite3_stmt *row, struct err *err)
{
    char *text = attribute_text(row, 1);
    (void)err;
    foreign_tag(ctx, column_text(row, 0, NULL), text, strlen(text));
    free(text);
    return 0;
}

static int fill_trial(struct optuna *o, struct foreign_run *r, int64_t id,
                      struct err *err)
{
    struct trial t = {o, r};
    const struct {
        const char *sql;
        tables_row *take;
        void *ctx;
    } parts[] = {
        {"SELECT param_name, param_value, distribution_json FROM trial_params "
         "WHERE trial_id = ?1 ORDER BY param_id",
         take_param, r},
        {"SELECT step, intermediate_value, intermediate_value_type "
         "FROM trial_intermediate_values WHERE trial_id = ?1 ORDER BY step",
         take_intermediate, &t},
        {"SELECT objective, value, value_type FROM trial_values WHERE trial_id = ?1 "
         "ORDER BY objective",
         take_objective, &t},
        {"SELECT key, value_json FROM trial_user_attributes WHERE trial_id = ?1 "
         "ORDER BY trial_user_attribute_id",
         take_attribute, r},
    };
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts) && rc == 0; i++)
        rc = tables_each(&o->tables, parts[i].sql, NULL, id, parts[i].take, parts[i].ctx,
                         err);
    return rc;
}

/* Is it one to take? Its state then. */
static bool resolve_state(struct optuna *o, struct foreign_run *r, const char *state)
{
    if (str_eq(state, "COMPLETE"))
        r->state = TRIAL_complete;
    else if (str_eq(state, "PRUNED"))
        r->state = TRIAL_pruned;
    else
        r->state = TRIAL_failed;
    if (str_eq(state, "WAITING"))
        return foreign_left_out(o->into, "trials that wait", 1), false;
    if (str_eq(state, "RUNNING"))
        foreign_unsaid(r);
    return !str_eq(state, "RUNNING") || !o->tables.growing || !foreign_goes_on(r);
}

static int take_trial(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct optuna *o = ctx;
    struct foreign_run r;
    int rc = 0;
    if (++o->trials > FOREIGN_MAX_RUNS)
        return err_set(err, ERR_CONFIG, "it has more than %d trials", FOREIGN_MAX_RUNS);
    foreign_run_init(&r, o->into, "optuna");
    if (resolve_state(o, &r, column_text(row, 2, NULL))) {
        char *id =
            xasprintf("%s/%lld", o->study, (long long)sqlite3_column_int64(row, 1));
        foreign_text(&r.id, id, strlen(id));
        foreign_text(&r.experiment, o->experiment, strlen(o->experiment));
        foreign_text(&r.sweep, o->study, strlen(o->study));
        foreign_text(&r.folder, o->tables.path, strlen(o->tables.path));
        r.started_ms = sqlite3_column_int64(row, 3);
        r.ended_ms = sqlite3_column_int64(row, 4);
        free(id);
        rc = fill_trial(o, &r, sqlite3_column_int64(row, 0), err);
        if (rc == 0)
            rc = foreign_give(&r, err);
    }
    foreign_run_release(&r);
    return rc;
}

/* ---- a study ---- */

static int take_direction(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct optuna *o = ctx;
    (void)err;
    json_array_append_new(
        o->goals, json_string(column_is(row, 0, "MAXIMIZE") ? "maximize" : "minimize"));
    return 0;
}

/* The names of the objectives here, as many as there are directions. */
static void name_objectives(struct optuna *o)
{
    char *said = tables_text(&o->tables,
                             "SELECT value_json FROM study_system_attributes WHERE "
                             "study_id = ?1 AND key = 'study:metric_names'",
                             NULL, o->study_id);
    json_t *own = said ? foreign_json(said, strlen(said)) : NULL;
    const size_t count = json_array_size(o->goals);
    for (size_t i = 0; i < count; i++) {
        const char *word = json_string_value(json_array_get(own, i));
        char *plain = count > 1 ? xasprintf("value_%zu", i) : xstrdup("value"),
             *name = foreign_metric_name(word ? word : plain);
        json_array_append_new(o->names, json_string(name ? name : plain));
        free(plain);
        free(name);
    }
    json_decref(own);
    free(said);
}

static int add_to_note(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct buf *note = ctx;
    char *text = attribute_text(row, 1);
    (void)err;
    buf_printf(note, "%s%s: %s", note->len ? "; " : "", column_text(row, 0, NULL), text);
    free(text);
    return 0;
}

/* What a sweep file says of objectives. */
static json_t *sweep_file(const struct optuna *o)
{
    json_t *file = json_object(), *all = json_array();
    for (size_t i = 0; i < json_array_size(o->names); i++)
        json_array_append_new(all,
                              json_pack("{s:O, s:O}", "name", json_array_get(o->names, i),
                                        "goal", json_array_get(o->goals, i)));
    if (json_array_size(all) == 1)
        json_object_set(file, "metric", json_array_get(all, 0));
    else
        json_object_set(file, "objectives", all);
    json_decref(all);
    return file;
}

static int give_sweep(struct optuna *o, struct err *err)
{
    struct buf note = BUF_INIT;
    char *clean = NULL;
    int rc = tables_each(&o->tables,
                         "SELECT key, value_json FROM study_user_attributes WHERE "
                         "study_id = ?1 ORDER BY study_user_attribute_id",
                         NULL, o->study_id, add_to_note, &note, err);
    foreign_text(&clean, buf_str(&note), note.len);
    json_t *sweep =
        json_pack("{s:s, s:s, s:s, s:o, s:i, s:s*}", "type", "sweep", "name", o->study,
                  "experiment", o->into->experiment ? o->into->experiment : o->experiment,
                  "file", sweep_file(o), "stopped", 1, "note", note.len ? clean : NULL);
    if (rc == 0)
        rc = import_object(o->into->in, sweep, err);
    json_decref(sweep);
    free(clean);
    buf_release(&note);
    return rc;
}

static int take_study(void *ctx, sqlite3_stmt *row, struct err *err)
{
    struct optuna *o = ctx;
    char *name = NULL;
    foreign_text(&name, column_text(row, 1, NULL), strlen(column_text(row, 1, NULL)));
    o->study_id = sqlite3_column_int64(row, 0);
    o->study = name;
    o->names = json_array();
    o->goals = json_array();
    int rc = tables_each(&o->tables,
                         "SELECT direction FROM study_directions WHERE study_id = ?1 "
                         "ORDER BY objective",
                         NULL, o->study_id, take_direction, o, err);
    name_objectives(o);
    if (rc == 0)
        rc = give_sweep(o, err);
    if (rc == 0)
        rc = tables_each(
            &o->tables,
            "SELECT trial_id, number, state, " UNIX_MS("datetime_start") ", " UNIX_MS(
                "datetime_complete") " FROM trials WHERE study_id = ?1 ORDER "
                                     "BY number",
            NULL, o->study_id, take_trial, o, err);
    json_decref(o->names);
    json_decref(o->goals);
    free(name);
    return rc;
}

/* ---- the file ---- */

static int check_version(struct optuna *o, struct err *err)
{
    int rc = tables_need(&o->tables, OPTUNA_TABLES, "storage of Optuna", err);
    if (rc < 0)
        return rc;
    char *version =
        tables_text(&o->tables, "SELECT version_num FROM alembic_version", NULL, 0);
    if (!version || !str_in_list(version, OPTUNA_VERSIONS, '|')) {
        char *clean = NULL;
        foreign_text(&clean, version ? version : "", version ? strlen(version) : 0);
        rc = err_set(err, ERR_CONFIG,
                     "version '%.40s' of Optuna's storage; this program reads v3.0.0.d "
                     "and v3.2.0.a (optuna storage upgrade)",
                     clean);
        free(clean);
    }
    free(version);
    return rc;
}

int foreign_read_optuna(struct foreign *f, const char *path, struct err *err)
{
    struct optuna o = {.into = f};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path,
               *dot = strrchr(name, '.');
    foreign_text(&o.experiment, name,
                 dot && dot > name ? (size_t)(dot - name) : strlen(name));
    int rc = tables_open(&o.tables, path, err);
    if (rc == 0) {
        rc = check_version(&o, err);
        if (rc == 0)
            rc = tables_each(&o.tables,
                             "SELECT study_id, study_name FROM studies ORDER BY study_id",
                             NULL, 0, take_study, &o, err);
        tables_close(&o.tables);
    }
    free(o.experiment);
    return rc < 0 ? err_context(err, "%s: ", path) : 0;
}
