/* cli/start/init_write.c - the trial file and the sweep file. */
#include "cli/start/init.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/nn/peft/method.h"
#include "runner/task/task.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const trial_name = "trial.yaml", *const sweep_name = "sweep.yaml";

/* From the largest to the smallest; the first that fits into the time is taken. */
static const struct sweep_size sizes[] = {
    {3, 3, 2, 3}, {3, 3, 1, 3}, {3, 2, 1, 3}, {2, 2, 1, 3}, {2, 2, 1, 2}, {2, 1, 1, 2},
};

/* Few rows want more passes over them. */
static double choose_epochs(const struct init *i)
{
    static const struct {
        double rows, epochs;
    } passes[] = {{300, 8}, {1000, 5}, {5000, 3}, {20000, 2}};
    const double rows = (double)init_rows(i, LOOK_TRAIN) * (init_is_language(i) ? 3 : 1);
    for (size_t k = 0; k < ARRAY_LEN(passes); k++)
        if (rows < passes[k].rows)
            return passes[k].epochs;
    return 1;
}

/* --- paths --- */

/* As a file in `out` names it: relative where both are, so that the folder can move with
 * what is around it. */
static char *seen_from(const char *out, const char *path)
{
    if (path[0] == '/' || out[0] == '/' || strstr(out, "..") || strstr(path, ".."))
        return fs_absolute(path);
    while (str_has_prefix(out, "./"))
        out += 2;
    while (str_has_prefix(path, "./"))
        path += 2;
    struct buf up = BUF_INIT;
    for (const char *c = out; *c; c += strcspn(c, "/") + (c[strcspn(c, "/")] == '/'))
        if (!str_eq(out, "."))
            buf_str_add(&up, "../");
    buf_str_add(&up, path);
    return buf_detach(&up, NULL);
}

/* The file that trials read the part from; NULL: there is none. */
static char *data_path(const struct init *i, enum look_part p)
{
    if (!init_rows(i, p))
        return NULL;
    return i->copies ? xasprintf("%s.jsonl", look_part_names[p])
                     : seen_from(i->out, i->parts[p].path);
}

static int in_the_way(const char *out, const char *name, struct err *err)
{
    char *path = fs_join(out, name);
    const bool there = fs_exists(path);
    int rc = !there
                 ? 0
                 : err_set(err, ERR_CONFIG,
                           "init: '%s' is there already; take another folder (--out), or "
                           "--overwrite it",
                           path);
    free(path);
    return rc;
}

/* Where the copies would take the place of the user's own rows, whatever may be
 * overwritten. */
static int check_own_files(const struct init *i, struct err *err)
{
    int rc = 0;
    for (int p = 0; p < LOOK_PARTS && !rc && i->copies; p++) {
        char *name = data_path(i, p), *path = name ? fs_join(i->out, name) : NULL;
        char *copy = path ? realpath(path, NULL) : NULL;
        for (int k = 0; k < LOOK_PARTS && !rc && copy; k++) {
            char *own = i->parts[k].path ? realpath(i->parts[k].path, NULL) : NULL;
            if (str_eq(own, copy))
                rc = err_set(err, ERR_CONFIG,
                             "init: copies of the rows would replace '%s' itself; take "
                             "another folder: --out DIR",
                             path);
            free(own);
        }
        free(copy);
        free(path);
        free(name);
    }
    return rc;
}

static int check_room(const struct init *i, struct err *err)
{
    int rc = in_the_way(i->out, trial_name, err);
    if (!rc)
        rc = in_the_way(i->out, sweep_name, err);
    for (int p = 0; p < LOOK_PARTS && !rc && i->copies; p++) {
        char *name = init_rows(i, p) ? data_path(i, p) : NULL;
        rc = name ? in_the_way(i->out, name, err) : 0;
        free(name);
    }
    return rc;
}

static int write_rows(const struct init *i, struct err *err)
{
    int rc = 0;
    for (int p = 0; p < LOOK_PARTS && !rc && i->copies; p++) {
        char *name = data_path(i, p), *path = name ? fs_join(i->out, name) : NULL;
        const struct look_file *from = &i->parts[i->dealt ? LOOK_TRAIN : p].rows;
        if (path)
            rc = look_write_part(from, &i->guess, i->dealing, p, path, err);
        free(path);
        free(name);
    }
    return rc;
}

/* --- the sweep --- */

static void fill_request(struct init *i, char *const data[LOOK_PARTS], const char *model,
                         const char *remark)
{
    struct advise_request *r = &i->adviser.request;
    const struct look_roles *c = &i->guess.roles;
    const bool renamed = !i->copies && !init_is_language(i);
    r->task = init_is_language(i) ? "causal-lm" : TASK_DEFAULT;
    r->model = model;
    r->rows = (double)init_rows(i, LOOK_TRAIN);
    r->epochs = choose_epochs(i);
    r->seq_len = i->max_length;
    r->batch = init_is_language(i) ? 8 : 16;
    r->rank = r->hours = r->usd = r->latency_ms = r->ttft_ms = NAN;
    r->checkpointing = -1;
    r->machine.count = 1;
    r->memory_bytes = (double)proc_memory_limit_bytes();
    r->train_data = data[LOOK_TRAIN];
    r->eval_data = data[LOOK_EVAL];
    r->subject = (struct sweep_subject){
        .name = i->name,
        .remark = remark,
        .test_data = data[LOOK_TEST],
        .validation_split = data[LOOK_EVAL] ? 0 : 0.2,
        .text_column = renamed && !str_eq(c->text, "text") ? c->text : NULL,
        .text_pair_column = renamed && !str_eq(c->pair, "text_pair") ? c->pair : NULL,
        .label_column = renamed && !str_eq(c->label, "label") ? c->label : NULL,
        .problem_type = i->guess.kind == LOOK_KIND_numbers ? "regression"
                        : i->guess.kind == LOOK_KIND_sets  ? "multi_label_classification"
                                                           : NULL,
    };
    r->subject.metric = init_metric(i, &r->subject.goal);
}

/* The largest that fits into the time; the smallest where none does. */
static int make_sweep(struct init *i, const struct advise *a, char **text,
                      struct err *err)
{
    const double limit_s = 60 * json_get_num(i->values, "minutes", 30);
    int rc = 0;
    *text = NULL;
    for (size_t k = 0; k < ARRAY_LEN(sizes) && !rc; k++) {
        i->adviser.request.size = sizes[k];
        free(*text);
        *text = advise_sweep(a);
        rc = *text ? init_predict(i, *text, sweep_name, err)
                   : err_set(err, ERR_FAILED,
                             "init: no method fits this machine; "
                             "`peftlab advise --model %s` says why",
                             i->model);
        if (!i->model_is_here) /* lengths of rows are not known, so no time is */
            i->seconds = NAN;
        if (!rc && !(i->seconds > limit_s))
            break;
    }
    return rc;
}

/* --- the trial --- */

static void put_line(struct buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    buf_printf(b, "%s: ", key);
    json_put_string(b, value, strlen(value));
    buf_char(b, '\n');
}

static char *trial_text(const struct init *i, const struct advise *a, char *const data[])
{
    const struct advise_request *r = &i->adviser.request;
    const struct advice *best = &a->items[0];
    struct buf b = BUF_INIT;
    buf_printf(
        &b,
        "# One trial: peftlab train %s/%s --out runs/first   (add rank=16 or any other "
        "key to change it)\n",
        i->out, trial_name);
    put_line(&b, "model", r->model);
    buf_printf(&b, "task: %s\nmethod: %s    # others: peftlab train --help\n", r->task,
               best->candidate->method);
    if (method_reads(method_behind(best->candidate->method), "rank"))
        buf_printf(&b, "rank: %.0f\nalpha: %.0f\n", best->setup.rank,
                   2 * best->setup.rank);
    put_line(&b, "train_data", data[LOOK_TRAIN]);
    put_line(&b, "eval_data", data[LOOK_EVAL]);
    if (r->subject.validation_split > 0)
        buf_printf(&b, "validation_split: %g    # of train_data, to choose by\n",
                   r->subject.validation_split);
    put_line(&b, "test_data", data[LOOK_TEST]);
    put_line(&b, "text_column", r->subject.text_column);
    put_line(&b, "text_pair_column", r->subject.text_pair_column);
    put_line(&b, "label_column", r->subject.label_column);
    put_line(&b, "problem_type", r->subject.problem_type);
    buf_printf(&b, "max_length: %d", i->max_length);
    if (i->lengths.counted)
        buf_printf(&b, "    # 95 %% of the rows have up to %d tokens", i->lengths.p95);
    buf_printf(&b, "\nbatch_size: %.0f\n", best->setup.batch);
    if (best->setup.accumulation > 1)
        buf_printf(&b, "gradient_accumulation_steps: %.0f\n", best->setup.accumulation);
    if (best->setup.checkpointing)
        buf_str_add(&b, "gradient_checkpointing: true\n");
    buf_printf(
        &b,
        "num_train_epochs: %g\nlearning_rate: %g    # the middle of those that the "
        "sweep tries\nseed: 0\n",
        r->epochs, advise_rate(a, best->candidate->method, 1));
    return buf_detach(&b, NULL);
}

/* --- */

static int write_file(const struct init *i, const char *name, const char *text,
                      struct err *err)
{
    char *path = fs_join(i->out, name);
    int rc = fs_write_atomic(path, text, strlen(text), err);
    free(path);
    return rc;
}

/* The planner finds rows from here, the files from where they lie. */
static int write_files(struct init *i, char *const data[LOOK_PARTS], const char *model,
                       struct err *err)
{
    char *remark = xasprintf("# Made by `peftlab init` for %s: %s.\n"
                             "# Run it: peftlab sweep run %s/%s\n",
                             i->parts[LOOK_TRAIN].path, i->guess.why, i->out, sweep_name),
         *sweep = NULL, *trial = NULL, *planned = fs_join(i->out, data[LOOK_TRAIN]);
    struct advise a;
    fill_request(i, data, i->model, remark);
    i->adviser.request.train_data = planned;
    int rc = advise_make(&i->adviser.request, &a, err);
    if (!rc) {
        fill_request(i, data, model, remark);
        rc = make_sweep(i, &a, &sweep, err);
        trial = rc ? NULL : trial_text(i, &a, data);
        advise_release(&a);
    }
    if (!rc)
        rc = write_file(i, trial_name, trial, err);
    if (!rc)
        rc = write_file(i, sweep_name, sweep, err);
    free(planned);
    free(remark);
    free(sweep);
    free(trial);
    return rc;
}

int init_write(struct init *i, struct err *err)
{
    char *data[LOOK_PARTS],
        *model = fs_exists(i->model) ? seen_from(i->out, i->model) : xstrdup(i->model);
    int rc = check_own_files(i, err);
    if (!rc && !json_get_bool(i->values, "overwrite", 0))
        rc = check_room(i, err);
    if (!rc)
        rc = fs_mkdirs(i->out, err);
    if (!rc)
        rc = write_rows(i, err);
    for (int p = 0; p < LOOK_PARTS; p++)
        data[p] = data_path(i, p);
    if (!rc)
        rc = write_files(i, data, model, err);
    for (int p = 0; p < LOOK_PARTS; p++)
        free(data[p]);
    free(model);
    return rc;
}
