/* runner/train/trace.c - see trace.h. */
#include "runner/train/trace.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/train/spike.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TRACE_BYTES ((size_t)1 << 30)

static struct update_log *push(struct trace *t)
{
    t->log = xgrow(t->log, &t->cap, t->count + 1, sizeof *t->log);
    return &t->log[t->count++];
}

static int parse_line(struct trace *t, const char *line, size_t len, const char *name,
                      struct err *err)
{
    json_t *o = json_parse_line(line, len, name, t->count + 1, err);
    if (!o)
        return err_code(err);
    const bool next = json_get_int(o, "step", 0) == (int64_t)t->count + 1;
    const struct spike_action *spike = spike_action_find(json_get_str(o, "action", NULL));
    if (next)
        *push(t) =
            (struct update_log){.loss = json_get_num(o, "loss", NAN),
                                .grad_norm = json_get_num(o, "grad_norm", NAN),
                                .learning_rate = json_get_num(o, "learning_rate", NAN),
                                .tokens = json_get_int(o, "tokens", 0),
                                .step_ms = json_get_num(o, "step_ms", 0),
                                .spike = spike ? spike->name : NULL,
                                .median = json_get_num(o, "median", NAN),
                                .spread = json_get_num(o, "spread", NAN)};
    json_decref(o);
    return next ? 0
                : err_set(err, ERR_PARSE, "'%s': line %zu is not update %zu", name,
                          t->count + 1, t->count + 1);
}

/* Reads the first `bytes` bytes into memory and into `text`. */
static int replay(struct trace *t, const char *old, int64_t bytes, int64_t updates,
                  struct buf *text, struct err *err)
{
    struct err own = ERR_INIT;
    int rc = fs_read(old, MAX_TRACE_BYTES, text, &own);
    if (!rc && (bytes < 0 || text->len < (size_t)bytes))
        rc = err_set(&own, ERR_PARSE, "'%s' has %zu bytes, %lld are needed", old,
                     text->len, (long long)bytes);
    for (size_t at = 0; !rc && at < (size_t)bytes;) {
        const char *line = text->data + at, *end = memchr(line, '\n', (size_t)bytes - at);
        if (!end)
            rc = err_set(&own, ERR_PARSE, "'%s': its last line is not whole", old);
        else
            rc = parse_line(t, line, (size_t)(end - line), old, &own);
        at += end ? (size_t)(end - line) + 1 : 0;
    }
    if (!rc && (int64_t)t->count != updates)
        rc = err_set(&own, ERR_PARSE, "'%s' tells of %zu updates, %lld are needed", old,
                     t->count, (long long)updates);
    return rc ? err_set(err, own.code, "%s", own.msg) : 0;
}

int trace_check(const char *old, int64_t bytes, int64_t updates, struct err *err)
{
    struct trace t = {0};
    struct buf text = BUF_INIT;
    int rc = replay(&t, old, bytes, updates, &text, err);
    buf_release(&text);
    free(t.log);
    return rc;
}

int trace_open(struct trace *t, const char *dir, const char *old, int64_t bytes,
               int64_t updates, struct err *err)
{
    struct buf text = BUF_INIT;
    *t = (struct trace){0};
    int rc = old ? replay(t, old, bytes, updates, &text, err) : 0;
    if (!rc && dir) {
        t->path = fs_join(dir, "trace.jsonl");
        if (old)
            rc = fs_write_atomic(t->path, text.data, (size_t)bytes, err);
        t->file = rc ? NULL : fopen(t->path, old ? "a" : "w");
        if (!rc && !t->file)
            rc = err_set(err, ERR_IO, "cannot write '%s': %s", t->path, strerror(errno));
        if (t->file)
            fseek(t->file, 0, SEEK_END);
    }
    buf_release(&text);
    return rc;
}

void trace_add(struct trace *t, const struct update_log *log)
{
    *push(t) = *log;
    if (!t->file)
        return;
    struct buf b = BUF_INIT;
    buf_printf(&b, "{\"step\": %zu, \"loss\": ", t->count);
    json_put_double(&b, log->loss);
    buf_str_add(&b, ", \"grad_norm\": ");
    json_put_double(&b, log->grad_norm);
    buf_str_add(&b, ", \"learning_rate\": ");
    json_put_double(&b, log->learning_rate);
    buf_printf(&b, ", \"tokens\": %lld, \"step_ms\": %.3f", (long long)log->tokens,
               log->step_ms);
    if (log->spike) {
        buf_printf(&b, ", \"event\": \"loss_spike\", \"action\": \"%s\", \"median\": ",
                   log->spike);
        json_put_double(&b, log->median);
        buf_str_add(&b, ", \"spread\": ");
        json_put_double(&b, log->spread);
    }
    buf_str_add(&b, "}\n");
    fputs(buf_str(&b), t->file);
    buf_release(&b);
}

int trace_sync(struct trace *t, int64_t *bytes, struct err *err)
{
    if (bytes)
        *bytes = 0;
    if (!t->file)
        return 0;
    const bool ok =
        fflush(t->file) == 0 && !ferror(t->file) && fsync(fileno(t->file)) == 0;
    if (ok && bytes)
        *bytes = ftell(t->file);
    return ok ? 0
              : err_set(err, ERR_IO, "cannot write '%s': %s", t->path, strerror(errno));
}

int trace_close(struct trace *t, struct err *err)
{
    const bool bad = t->file && ferror(t->file);
    const bool unclosed = t->file && fclose(t->file) != 0;
    t->file = NULL;
    return bad || unclosed
               ? err_set(err, ERR_IO, "cannot write '%s' (disk full?)", t->path)
               : 0;
}

void trace_release(struct trace *t)
{
    trace_close(t, NULL);
    free(t->path);
    free(t->log);
    *t = (struct trace){0};
}
