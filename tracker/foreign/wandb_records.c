/* tracker/foreign/wandb_records.c - what W&B's records say of a run. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/foreign/wandb_parts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum record_kind {
    HISTORY = 2,
    SUMMARY = 3,
    CONFIG = 5,
    STATS = 7,
    ALERT = 10,
    METRIC = 12,
    RUN = 17,
    EXIT = 18,
    HEADER = 21,
};
enum { UPDATE = 1, REMOVE = 2 }; /* of SUMMARY and CONFIG */

void wandb_run_release(struct wandb_run *w)
{
    for (size_t i = 0; i < w->rule_count; i++) {
        free(w->rules[i].pattern);
        free(w->rules[i].axis);
    }
    for (size_t i = 0; i < w->axis_count; i++)
        free(w->axes[i].name);
    wandb_row_clear(&w->row);
    free(w->row.items);
    free(w->rules);
    free(w->axes);
    foreign_run_release(&w->run);
    *w = (struct wandb_run){0};
}

/* Names of W&B's own among those of the user. */
static bool is_internal(const char *key)
{
    return str_in_list(key, "_step|_timestamp|_runtime|_wandb", '|') ||
           str_has_prefix(key, "_wandb.");
}

static void take_text(char **field, const struct pb_field *f)
{
    if (f->type == PB_BYTES)
        foreign_text(field, (const char *)f->data, f->length);
}

/* ---- configuration and summary ---- */

static void take_config(struct wandb_run *w, struct pb message)
{
    wandb_row_read(&w->row, message, UPDATE);
    for (size_t i = 0; i < w->row.count; i++) {
        const struct wandb_item *item = &w->row.items[i];
        json_t *v = item->json ? foreign_json(item->json, item->length) : NULL;
        if (v && !item->dropped && !is_internal(item->key)) {
            char *clean = str_clean(item->key, strlen(item->key));
            json_object_set(w->run.params, clean, v);
            free(clean);
        }
        json_decref(v);
    }
    wandb_row_read(&w->row, message, REMOVE);
    for (size_t i = 0; i < w->row.count; i++)
        json_object_del(w->run.params, w->row.items[i].key);
}

static void take_summary(struct wandb_run *w, struct pb message)
{
    wandb_row_read(&w->row, message, UPDATE);
    wandb_row_expand(&w->row);
    wandb_row_drop_media(&w->row, NULL);
    for (size_t i = 0; i < w->row.count; i++) {
        const struct wandb_item *item = &w->row.items[i];
        if (item->number && !item->dropped && !is_internal(item->key))
            foreign_summary(&w->run, item->key, item->value);
    }
    wandb_row_read(&w->row, message, REMOVE);
    for (size_t i = 0; i < w->row.count; i++) {
        char *name = foreign_metric_name(w->row.items[i].key);
        if (name)
            json_object_del(w->run.summary, name);
        free(name);
    }
}

/* ---- the run itself ---- */

static int64_t read_time_ms(struct pb message)
{
    struct pb_field f;
    double ms = 0;
    while (pb_next(&message, &f))
        ms += f.number == 1   ? (double)pb_int(&f) * 1e3
              : f.number == 2 ? floor((double)pb_int(&f) / 1e6)
                              : 0;
    return ms > 0 && ms < 9e15 ? (int64_t)ms : 0;
}

static void take_git(struct wandb_run *w, struct pb message)
{
    static const char *const names[] = {[1] = "remote", [2] = "commit"};
    struct pb_field f;
    json_t *git = json_object();
    while (pb_next(&message, &f)) {
        char *text = NULL;
        if (f.number == 1 || f.number == 2)
            take_text(&text, &f);
        if (text)
            json_object_set_new(git, names[f.number], json_string(text));
        free(text);
    }
    if (json_object_size(git) > 0)
        json_object_set(w->run.environment, "git", git);
    json_decref(git);
}

/* Group and kind of the job as tags with a value, the run's tags as tags without one. */
static void take_tag(struct wandb_run *w, const char *key, const struct pb_field *f)
{
    char *text = NULL;
    take_text(&text, f);
    if (text && *text)
        foreign_tag(&w->run, key ? key : text, text, key ? strlen(text) : 0);
    free(text);
}

static void take_run(struct wandb_run *w, struct pb message)
{
    struct foreign_run *r = &w->run;
    const struct {
        uint32_t number;
        char **field;
    } texts[] = {{1, &r->id},   {3, &r->experiment}, {8, &r->name},
                 {9, &r->note}, {12, &r->sweep},     {13, &r->host}};
    struct pb_field f;
    while (pb_next(&message, &f)) {
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            if (f.number == texts[i].number && f.length > 0)
                take_text(texts[i].field, &f);
        if (f.number == 4)
            take_config(w, pb_within(&f));
        else if (f.number == 5)
            take_summary(w, pb_within(&f));
        else if (f.number == 6)
            take_tag(w, "group", &f);
        else if (f.number == 7)
            take_tag(w, "job_type", &f);
        else if (f.number == 10)
            take_tag(w, NULL, &f);
        else if (f.number == 14)
            w->step = pb_int(&f) > 0 ? pb_int(&f) - 1 : -1;
        else if (f.number == 17)
            r->started_ms = read_time_ms(pb_within(&f));
        else if (f.number == 21)
            take_git(w, pb_within(&f));
    }
}

static void take_exit(struct wandb_run *w, struct pb message)
{
    struct pb_field f;
    int64_t code = 0, runtime_s = 0;
    while (pb_next(&message, &f)) {
        code = f.number == 1 ? pb_int(&f) : code;
        runtime_s = f.number == 2 ? pb_int(&f) : runtime_s;
    }
    w->ended = true;
    w->run.exit_code = code >= 0 && code < 256 ? (int)code : 255;
    w->run.state = code == 0 ? TRIAL_complete : TRIAL_failed;
    if (code == 254)
        foreign_text(&w->run.reason, "crashed", strlen("crashed"));
    if (runtime_s > 0 && runtime_s < 1000000000 && w->run.started_ms > 0)
        w->run.ended_ms = w->run.started_ms + runtime_s * 1000;
}

static void take_alert(struct wandb_run *w, struct pb message)
{
    struct pb_field f;
    char *title = NULL, *text = NULL;
    while (pb_next(&message, &f))
        if (f.number == 1 || f.number == 2)
            take_text(f.number == 1 ? &title : &text, &f);
    char *said = xasprintf("%s: %s", title ? title : "", text ? text : "");
    json_array_append_new(
        w->run.events,
        json_pack("[I, s, s]", (json_int_t)(w->at_ms > 0 ? w->at_ms : w->run.started_ms),
                  "alert", said));
    free(said);
    free(title);
    free(text);
}

static void take_header(struct wandb_run *w, struct pb message)
{
    struct pb_field f, inner;
    char *producer = NULL;
    while (pb_next(&message, &f))
        if (f.number == 1)
            for (struct pb version = pb_within(&f); pb_next(&version, &inner);)
                if (inner.number == 1)
                    take_text(&producer, &inner);
    if (producer)
        json_object_set_new(w->run.environment, "wandb", json_string(producer));
    free(producer);
}

/* ---- axes ---- */

static struct wandb_axis *find_axis(struct wandb_run *w, const char *name)
{
    for (size_t i = 0; i < w->axis_count; i++)
        if (str_eq(w->axes[i].name, name))
            return &w->axes[i];
    return NULL;
}

static int take_metric(struct wandb_run *w, struct pb message, struct err *err)
{
    enum { MAX_RULES = 4096 };
    struct pb_field f;
    struct wandb_axis_rule rule = {0};
    while (pb_next(&message, &f))
        if (f.number == 1 || f.number == 2)
            take_text(&rule.pattern, &f);
        else if (f.number == 4)
            take_text(&rule.axis, &f);
    if (!rule.pattern || !rule.axis || !*rule.axis || str_eq(rule.axis, "_step") ||
        w->rule_count >= MAX_RULES) {
        const bool many = w->rule_count >= MAX_RULES;
        free(rule.pattern);
        free(rule.axis);
        return many ? err_set(err, ERR_CONFIG, "more than %d define_metric", MAX_RULES)
                    : 0;
    }
    if (!find_axis(w, rule.axis)) {
        w->axes = xgrow(w->axes, &w->axis_cap, w->axis_count + 1, sizeof *w->axes);
        w->axes[w->axis_count++] =
            (struct wandb_axis){.name = xstrdup(rule.axis), .last = -1};
    }
    w->rules = xgrow(w->rules, &w->rule_cap, w->rule_count + 1, sizeof *w->rules);
    w->rules[w->rule_count++] = rule;
    return 0;
}

/* A name that says it all goes before a pattern; the pattern's one star stands last. */
static struct wandb_axis *axis_of(struct wandb_run *w, const char *key)
{
    const char *axis = NULL;
    for (size_t i = 0; i < w->rule_count; i++) {
        const char *pattern = w->rules[i].pattern;
        const size_t n = strlen(pattern);
        if (str_eq(pattern, key))
            return find_axis(w, w->rules[i].axis);
        if (!axis && n > 0 && pattern[n - 1] == '*' && !strncmp(pattern, key, n - 1))
            axis = w->rules[i].axis;
    }
    return axis ? find_axis(w, axis) : NULL;
}

static bool is_step(double v)
{
    return v >= 0 && v < 9e15 && v == floor(v);
}

int wandb_axis_values(struct wandb_run *w, uint32_t kind, struct pb message,
                      struct err *err)
{
    (void)err;
    if (kind != HISTORY || w->axis_count == 0)
        return 0;
    wandb_row_read(&w->row, message, 1);
    for (size_t i = 0; i < w->row.count; i++) {
        struct wandb_axis *axis = find_axis(w, w->row.items[i].key);
        if (axis) {
            axis->seen = true;
            axis->fractions |= !w->row.items[i].number || !is_step(w->row.items[i].value);
        }
    }
    return 0;
}

/* ---- history ---- */

/* Seconds as milliseconds; 0 where they are none. */
static int64_t time_ms_of(const struct wandb_item *item)
{
    return item->number && item->value > 0 && item->value < 9e12
               ? (int64_t)(item->value * 1e3)
               : 0;
}

static int take_item(struct wandb_run *w, const struct wandb_item *item, struct err *err)
{
    struct wandb_axis *axis = w->rule_count ? axis_of(w, item->key) : NULL;
    if (!item->number) {
        foreign_left_out(w->run.into, "texts and lists in the history", 1);
        return 0;
    }
    if (axis && axis->seen && axis->fractions)
        axis = NULL;
    if (!axis || !axis->seen)
        return foreign_value(&w->run, item->key, w->step, item->value, err);
    if (axis->last < 0) {
        foreign_left_out(w->run.into, "values before the first of their axis", 1);
        return 0;
    }
    return foreign_value(&w->run, item->key, axis->last, item->value, err);
}

int wandb_history(struct wandb_run *w, uint32_t kind, struct pb message, struct err *err)
{
    int rc = 0;
    if (kind != HISTORY)
        return 0;
    wandb_row_read(&w->row, message, 1);
    wandb_row_expand(&w->row);
    wandb_row_drop_media(&w->row, w->run.into);
    w->step = w->row.step >= 0 ? w->row.step : w->step + 1;
    w->run.at_ms = 0;
    for (size_t i = 0; i < w->row.count; i++) {
        const struct wandb_item *item = &w->row.items[i];
        struct wandb_axis *axis = find_axis(w, item->key);
        if (axis && is_step(item->value))
            axis->last = (int64_t)item->value;
        if (str_eq(item->key, "_timestamp"))
            w->run.at_ms = time_ms_of(item);
    }
    for (size_t i = 0; i < w->row.count && rc == 0; i++)
        if (!w->row.items[i].dropped && !is_internal(w->row.items[i].key))
            rc = take_item(w, &w->row.items[i], err);
    return rc;
}

/* When the last row was written, for what comes behind it and for a run without an end. */
static void take_time(struct wandb_run *w, struct pb message)
{
    wandb_row_read(&w->row, message, 1);
    for (size_t i = 0; i < w->row.count; i++) {
        const struct wandb_item *item = &w->row.items[i];
        if (str_eq(item->key, "_timestamp") && time_ms_of(item) > 0)
            w->at_ms = time_ms_of(item);
    }
}

int wandb_facts(struct wandb_run *w, uint32_t kind, struct pb message, struct err *err)
{
    switch (kind) {
    case HISTORY:
        take_time(w, message);
        return 0;
    case SUMMARY:
        take_summary(w, message);
        return 0;
    case CONFIG:
        take_config(w, message);
        return 0;
    case STATS:
        foreign_left_out(w->run.into, "readings of the machine", 1);
        return 0;
    case ALERT:
        take_alert(w, message);
        return 0;
    case METRIC:
        return take_metric(w, message, err);
    case RUN:
        take_run(w, message);
        return 0;
    case EXIT:
        take_exit(w, message);
        return 0;
    case HEADER:
        take_header(w, message);
        return 0;
    default:
        return 0;
    }
}
