/* sweep/launch/user_rows.c - see user_rows.h. */
#include "sweep/launch/user_rows.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct user_row {
    double loss, label, said; /* of classes their numbers */
};

struct user_rows {
    const char *name; /* of the file, for messages */
    struct user_row *rows;
    size_t count, cap;
    enum row_kind kind;
    struct strmap *classes; /* as JSON text -> number */
    struct buf identity;    /* a line per row: id, what is right */
};

/* ---- reading ---- */

static int bad_row(const struct user_rows *u, const char *what, struct err *err)
{
    return err_set(err, ERR_PARSE, "%s, line %zu: %s", u->name, u->count + 1, what);
}

static int take_class(struct user_rows *u, const json_t *value, double *out,
                      struct err *err)
{
    struct buf text = BUF_INIT;
    int64_t number;
    if (!json_is_string(value) && !json_is_integer(value) && !json_is_boolean(value))
        return bad_row(u, "'label' and 'predicted' are texts, integers or booleans", err);
    json_canonical(&text, value);
    if (!strmap_get(u->classes, buf_str(&text), text.len, &number)) {
        number = (int64_t)strmap_count(u->classes);
        strmap_put(u->classes, buf_str(&text), text.len, number);
    }
    buf_release(&text);
    *out = (double)number;
    return 0;
}

static int take_number(struct user_rows *u, const json_t *value, double *out,
                       struct err *err)
{
    *out = json_number_value(value);
    return json_is_number(value) && isfinite((float)*out)
               ? 0
               : bad_row(u, "'target', 'output' and 'loss' are finite numbers", err);
}

static void identify(struct user_rows *u, const json_t *id, const json_t *right)
{
    if (id)
        json_canonical(&u->identity, id);
    else
        buf_printf(&u->identity, "%zu", u->count);
    buf_char(&u->identity, '\t');
    json_canonical(&u->identity, right);
    buf_char(&u->identity, '\n');
}

/* One of the two forms, the same in all rows. */
static int take_row(struct user_rows *u, const json_t *row, struct err *err)
{
    const json_t *label = json_object_get(row, "label"),
                 *target = json_object_get(row, "target"),
                 *loss = json_object_get(row, "loss");
    const enum row_kind kind = target ? ROW_numbers : ROW_class;
    struct user_row r = {0};
    if (!json_is_object(row) || (label != NULL) == (target != NULL))
        return bad_row(u, "a row has 'label' and 'predicted', or 'target' and 'output'",
                       err);
    if (u->count && kind != u->kind)
        return bad_row(u, "the rows before it are of the other form", err);
    u->kind = kind;
    int (*take)(struct user_rows *, const json_t *, double *, struct err *) =
        target ? take_number : take_class;
    int rc = take(u, target ? target : label, &r.label, err);
    if (!rc)
        rc = take(u, json_object_get(row, target ? "output" : "predicted"), &r.said, err);
    if (!rc && target)
        r.loss = (r.said - r.label) * (r.said - r.label);
    if (!rc && loss)
        rc = take_number(u, loss, &r.loss, err);
    if (!rc && !isfinite((float)r.loss))
        rc = bad_row(u, "'target' and 'output' are too far apart", err);
    if (rc)
        return rc;
    identify(u, json_object_get(row, "id"), target ? target : label);
    u->rows = xgrow(u->rows, &u->cap, u->count + 1, sizeof *u->rows);
    u->rows[u->count++] = r;
    return 0;
}

static int read_lines(struct user_rows *u, const char *text, size_t n, struct err *err)
{
    int rc = 0;
    for (size_t at = 0; at < n && !rc;) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t len = end ? (size_t)(end - text) - at : n - at;
        json_t *row = json_parse_line(text + at, len, u->name, u->count + 1, err);
        rc = !row ? err_code(err)
             : u->count < ROWS_MAX
                 ? take_row(u, row, err)
                 : err_set(err, ERR_PARSE, "%s: more than %d rows", u->name, ROWS_MAX);
        json_decref(row);
        at += len + 1;
    }
    return rc || u->count ? rc : err_set(err, ERR_PARSE, "%s is empty", u->name);
}

/* ---- keeping ---- */

static int make_results(const struct user_rows *u, struct row_results *out,
                        struct err *err)
{
    char data[SHA256_HEX];
    const bool classes = u->kind == ROW_class;
    if (!row_results_init(out, u->kind, classes ? strmap_count(u->classes) : 1, u->count))
        return err_set(err, ERR_PARSE, "%s holds more than can be kept", u->name);
    uint32_t *lines = xcalloc(u->count, sizeof *lines);
    float *loss = out->columns[COLUMN_loss];
    for (size_t i = 0; i < u->count; i++) {
        const struct user_row *r = &u->rows[i];
        lines[i] = (uint32_t)i;
        loss[i] = (float)r->loss;
        if (classes) {
            ((uint16_t *)out->columns[COLUMN_label])[i] = (uint16_t)r->label;
            ((uint16_t *)out->columns[COLUMN_predicted])[i] = (uint16_t)r->said;
        } else {
            ((float *)out->columns[COLUMN_targets])[i] = (float)r->label;
            ((float *)out->columns[COLUMN_outputs])[i] = (float)r->said;
        }
    }
    sha256_hex(buf_str(&u->identity), u->identity.len, data);
    row_results_identify(out, data, lines);
    free(lines);
    return 0;
}

int user_rows_read(const char *name, const char *text, size_t n, struct row_results *out,
                   struct err *err)
{
    struct user_rows u = {.name = name, .classes = strmap_new()};
    buf_init(&u.identity, (size_t)1 << 30);
    int rc = read_lines(&u, text, n, err);
    if (!rc)
        rc = make_results(&u, out, err);
    free(u.rows);
    strmap_free(u.classes);
    buf_release(&u.identity);
    return rc;
}

static int keep_file(const char *from, const char *name, const char *to,
                     const char *artifact, struct sink *sink, struct err *err)
{
    struct row_results results;
    struct buf text, bytes = BUF_INIT;
    buf_init(&text, ROWS_MAX_BYTES);
    int rc = fs_read(from, ROWS_MAX_BYTES, &text, err);
    if (!rc)
        rc = user_rows_read(name, buf_str(&text), text.len, &results, err);
    if (!rc) {
        row_results_write(&results, &bytes);
        row_results_release(&results);
        rc = fs_write_atomic(to, buf_str(&bytes), bytes.len, err);
    }
    if (!rc)
        sink->ops->keep(sink, artifact, to);
    buf_release(&text);
    buf_release(&bytes);
    return rc;
}

static void keep_split(const char *run_dir, const char *split, struct sink *sink)
{
    struct err err = ERR_INIT;
    char *name = xasprintf("rows_%s.jsonl", split), *from = fs_join(run_dir, name),
         *to = xasprintf("%s/rows_%s.bin", run_dir, split),
         *artifact = xasprintf("rows/%s", split);
    if (fs_exists(from) && keep_file(from, name, to, artifact, sink, &err)) {
        char *words = xasprintf("%s: what each row got is not kept", err.msg);
        sink->ops->event(sink, "warning", words);
        free(words);
    }
    free(artifact);
    free(to);
    free(from);
    free(name);
}

void user_rows_keep(const char *run_dir, struct sink *sink)
{
    keep_split(run_dir, "eval", sink);
    keep_split(run_dir, "test", sink);
}
