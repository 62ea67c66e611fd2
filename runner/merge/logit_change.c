/* runner/merge/logit_change.c - see logit_change.h. */
#include "runner/merge/logit_change.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/nn/peft/method.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct comparison {
    struct logit_sink sink;
    FILE *merged;
    size_t width;
    struct merge_report *out;
};

static int open_file(struct comparison *c, const char *dir, struct err *err)
{
    char *path = xasprintf("%s.logits-XXXXXX", dir);
    const int fd = mkstemp(path);
    c->merged = fd < 0 ? NULL : fdopen(fd, "w+b");
    const int rc =
        c->merged ? 0
                  : err_set(err, ERR_IO, "cannot write '%s': %s", path, strerror(errno));
    if (fd >= 0)
        unlink(path);
    free(path);
    return rc;
}

static int keep_logits(struct logit_sink *sink, const float *logits, int64_t rows,
                       struct err *err)
{
    struct comparison *c = (struct comparison *)sink;
    const size_t n = (size_t)rows * c->width;
    return fwrite(logits, sizeof *logits, n, c->merged) == n
               ? 0
               : err_set(err, ERR_IO, "cannot keep the merged model's logits: %s",
                         strerror(errno));
}

static int compare_logits(struct logit_sink *sink, const float *logits, int64_t rows,
                          struct err *err)
{
    struct comparison *c = (struct comparison *)sink;
    struct merge_report *out = c->out;
    for (int64_t i = 0; i < rows * (int64_t)c->width; i++) {
        float x;
        if (fread(&x, sizeof x, 1, c->merged) != 1)
            return err_set(err, ERR_IO, "cannot read the merged model's logits: %s",
                           strerror(errno));
        const double change = fabs((double)x - logits[i]);
        out->largest_logit = fmax(out->largest_logit, fabs((double)logits[i]));
        /* a NaN must not hide behind fmax */
        out->largest_change =
            change <= out->largest_change ? out->largest_change : change;
    }
    return 0;
}

static int evaluate(struct session *s, struct comparison *c, struct err *err)
{
    struct evaluation e = {0};
    int rc = session_allocate(s, err);
    c->width = (size_t)s->goal.num_labels;
    if (!rc)
        rc = evaluate_split(s, SPLIT_EVAL, &c->sink, &e, err);
    if (!rc)
        rc = evaluation_check(&e, s->data[SPLIT_EVAL], s->goal.num_labels, err);
    if (!rc)
        c->out->rows = e.rows;
    evaluation_release(&e);
    return rc;
}

/* The trial that evaluates the merged folder: no method, no adapter. */
static json_t *plain_trial(const json_t *resolved, const char *dir)
{
    json_t *t = json_object();
    for (size_t i = 0; i < trial_options.count; i++) {
        const struct opt_def *d = &trial_options.rows[i];
        json_t *v = json_object_get(resolved, d->key);
        if (v && !(d->flags & OPT_OF_METHOD))
            json_object_set(t, d->key, v);
    }
    json_object_del(t, "init_adapter");
    json_object_del(t, "base_dtype"); /* which the folder's numbers follow already */
    json_object_set_new(t, "method", json_string(method_full.name));
    json_object_set_new(t, "model", json_string(dir));
    return t;
}

static bool has_room(const struct session *s, struct merge_report *out)
{
    const size_t need = session_planned_bytes(s);
    const int64_t limit = proc_memory_limit_bytes();
    char a[32], b[32];
    if (limit <= 0 || need <= (size_t)limit)
        return true;
    snprintf(out->not_compared, sizeof out->not_compared,
             "to evaluate the merged model takes %s, this machine allows %s",
             str_bytes(a, sizeof a, (double)need), str_bytes(b, sizeof b, (double)limit));
    return false;
}

static int evaluate_merged(const json_t *resolved, const char *base_dir, const char *dir,
                           struct comparison *c, struct err *err)
{
    json_t *trial = plain_trial(resolved, dir);
    struct session s;
    int rc = session_open(&s, trial, base_dir, NULL, false, err);
    c->sink.take = keep_logits;
    if (!rc && has_room(&s, c->out))
        rc = evaluate(&s, c, err);
    session_close(&s);
    json_decref(trial);
    return rc ? err_context(err, "merged folder: ") : 0;
}

int merge_compare(struct session *s, const json_t *resolved, const char *dir,
                  struct merge_report *out, struct err *err)
{
    struct comparison c = {.out = out};
    if (!s->data[SPLIT_EVAL])
        return 0;
    int rc = open_file(&c, dir, err);
    if (!rc)
        rc = evaluate_merged(resolved, s->base_dir, dir, &c, err);
    if (!rc && !*out->not_compared) {
        rewind(c.merged);
        c.sink.take = compare_logits;
        rc = evaluate(s, &c, err);
    }
    if (c.merged)
        fclose(c.merged);
    return rc;
}
