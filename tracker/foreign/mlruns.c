/* tracker/foreign/mlruns.c - runs in MLflow's folder, mlruns, where there is no database.
 *
 * mlruns/EXPERIMENT/meta.yaml says what the experiment is called, EXPERIMENT/RUN/meta.yaml
 * what became of a run; below it params/KEY and tags/KEY hold a text each, metrics/KEY a
 * line "timestamp value step" for each value. A slash in a key is a folder. Of several
 * values at a step the last line counts. The rest as mlflow_parts.h says; a run goes on if
 * something in its folder was written in the last ten minutes. */
#include "lib/buf.h"
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "tracker/foreign/found_files.h"
#include "tracker/foreign/mlflow_parts.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH = 2, /* folders down to a run's */
    KEY_DEPTH = 16,
    META_MAX = 1 << 20,
    FILE_MAX = 256 << 20
};

static bool is_meta(const char *name)
{
    return str_eq(name, "meta.yaml");
}

static bool is_any(const char *name)
{
    (void)name;
    return true;
}

static json_t *read_meta(const char *path, struct err *err)
{
    struct buf text = BUF_INIT;
    struct conf *c = NULL;
    json_t *tree = NULL;
    int rc = fs_read(path, META_MAX, &text, err);
    if (!rc)
        rc = conf_parse(buf_str(&text), text.len, path, 0, &c, err);
    if (!rc && !json_is_object(conf_root(c)))
        err_set(err, ERR_PARSE, "'%s': no meta.yaml of MLflow", path);
    else if (!rc)
        tree = json_incref(conf_root(c));
    conf_free(c);
    buf_release(&text);
    return tree;
}

bool foreign_is_mlruns(const char *path)
{
    struct found_files found = {0};
    struct err err = ERR_INIT;
    bool is = false;
    if (fs_is_dir(path) && !found_files_of(&found, path, DEPTH, is_meta, &err) &&
        found.count) {
        json_t *meta = read_meta(found.paths[0], NULL);
        is = json_object_get(meta, "lifecycle_stage") != NULL;
        json_decref(meta);
    }
    found_files_release(&found);
    return is;
}

/* --- the files of a run --- */

static bool blank(char c)
{
    return c == '\0' || isspace((unsigned char)c);
}

/* "timestamp value step", newer versions say more behind it; no step is step 0. */
static bool read_line(const char *line, int64_t *at_ms, double *value, int64_t *step)
{
    char *rest, *end;
    *at_ms = strtoll(line, &rest, 10);
    if (rest == line || !blank(*rest))
        return false;
    *value = strtod(rest, &end);
    if (end == rest || !blank(*end))
        return false;
    end += strspn(end, " \t\r");
    errno = 0;
    *step = strtoll(end, &rest, 10);
    return !errno && (rest > end || !*end) && blank(*rest);
}

static int take_lines(struct foreign_run *r, const char *key, const struct buf *text,
                      struct err *err)
{
    int rc = 0;
    for (size_t at = 0, n; at < text->len && rc >= 0; at += n + 1) {
        const char *begin = buf_str(text) + at,
                   *end = memchr(begin, '\n', text->len - at);
        double value;
        int64_t step;
        n = end ? (size_t)(end - begin) : text->len - at;
        char *line = xstrndup(begin, n);
        if (strlen(line) == n && read_line(line, &r->at_ms, &value, &step))
            rc = foreign_value(r, key, step, value, err);
        else
            foreign_left_out(r->into, "lines that are no values", 1);
        free(line);
    }
    return rc;
}

static int take_text(struct foreign_run *r, const char *key, const struct buf *text,
                     struct err *err)
{
    (void)err;
    mlflow_param(r, key, buf_str(text), text->len);
    return 0;
}

static int take_tag(struct foreign_run *r, const char *key, const struct buf *text,
                    struct err *err)
{
    (void)err;
    mlflow_tag(r, key, buf_str(text), text->len);
    return 0;
}

static const struct part {
    const char *folder;
    int (*take)(struct foreign_run *r, const char *key, const struct buf *text,
                struct err *err);
} parts[] = {{"params", take_text}, {"metrics", take_lines}, {"tags", take_tag}};

/* When was it written? The newest counts. */
static void note_time(const char *path, int64_t *newest_ms)
{
    struct fs_stamp stamp;
    if (fs_stamp(path, &stamp) && stamp.modified_ns / 1000000 > *newest_ms)
        *newest_ms = stamp.modified_ns / 1000000;
}

static int take_part(struct foreign_run *r, const char *dir, const struct part *p,
                     int64_t *newest_ms, struct err *err)
{
    char *folder = fs_join(dir, p->folder);
    struct found_files found = {0};
    int rc =
        fs_is_dir(folder) ? found_files_of(&found, folder, KEY_DEPTH, is_any, err) : 0;
    for (size_t i = 0; i < found.count && rc >= 0; i++) {
        struct buf text = BUF_INIT;
        note_time(found.paths[i], newest_ms);
        rc = fs_read(found.paths[i], FILE_MAX, &text, err);
        if (!rc)
            rc = p->take(r, found.paths[i] + strlen(folder) + 1, &text, err);
        buf_release(&text);
    }
    found_files_release(&found);
    free(folder);
    return rc < 0 ? rc : 0;
}

/* --- runs --- */

/* A word, or its number. */
static const char *status_of(const json_t *meta)
{
    static const char *const words[] = {"",         "RUNNING", "SCHEDULED",
                                        "FINISHED", "FAILED",  "KILLED"};
    const json_int_t n = json_get_int(meta, "status", 0);
    return n > 0 && n < (json_int_t)ARRAY_LEN(words) ? words[n]
                                                     : json_get_str(meta, "status", "");
}

static bool is_active(const json_t *meta)
{
    return str_eq(json_get_str(meta, "lifecycle_stage", "active"), "active");
}

static int fill_run(struct foreign_run *r, const char *dir, const json_t *meta,
                    const char *experiment, struct err *err)
{
    const char *id = json_get_str(meta, "run_id", json_get_str(meta, "run_uuid", ""));
    const char *name = json_get_str(meta, "run_name", "");
    char *meta_path = fs_join(dir, "meta.yaml");
    int64_t newest_ms = 0;
    int rc = 0;
    note_time(meta_path, &newest_ms);
    free(meta_path);
    foreign_text(&r->id, id, strlen(id));
    foreign_text(&r->experiment, experiment, strlen(experiment));
    foreign_text(&r->folder, dir, strlen(dir));
    if (*name)
        foreign_text(&r->name, name, strlen(name));
    r->started_ms = json_get_int(meta, "start_time", 0);
    r->ended_ms = json_get_int(meta, "end_time", 0);
    for (size_t i = 0; i < ARRAY_LEN(parts) && !rc; i++)
        rc = take_part(r, dir, &parts[i], &newest_ms, err);
    const bool quiet = clock_wall_ms() - newest_ms > FOUND_QUIET_MS;
    if (!rc && mlflow_state(r, status_of(meta), !quiet))
        rc = foreign_give(r, err);
    return rc;
}

/* The folder's name where nothing says what it is called. */
static char *experiment_of(const char *dir, bool *active, struct err *err)
{
    char *folder = fs_dirname(dir), *path = fs_join(folder, "meta.yaml");
    json_t *meta = fs_exists(path) ? read_meta(path, err) : json_object();
    const char *slash = strrchr(folder, '/');
    char *name =
        meta ? xstrdup(json_get_str(meta, "name", slash ? slash + 1 : folder)) : NULL;
    *active = is_active(meta);
    json_decref(meta);
    free(path);
    free(folder);
    return name;
}

static int take_run(struct foreign *f, const char *dir, const json_t *meta,
                    struct err *err)
{
    struct foreign_run r;
    bool active;
    char *experiment = experiment_of(dir, &active, err);
    if (!experiment)
        return err_code(err);
    int rc = 0;
    if (active && is_active(meta)) {
        foreign_run_init(&r, f, "mlflow");
        rc = fill_run(&r, dir, meta, experiment, err);
        foreign_run_release(&r);
    } else {
        foreign_left_out(f, "deleted runs", 1);
    }
    free(experiment);
    return rc;
}

int foreign_read_mlruns(struct foreign *f, const char *path, struct err *err)
{
    struct found_files found = {0};
    size_t runs = 0;
    int rc = found_files_of(&found, path, DEPTH, is_meta, err);
    if (rc == 0 && found.count == 0)
        rc = err_set(err, ERR_NOINPUT, "'%s' holds no meta.yaml of MLflow", path);
    for (size_t i = 0; i < found.count && rc >= 0; i++) {
        char *dir = fs_dirname(found.paths[i]);
        json_t *meta = read_meta(found.paths[i], err);
        const bool is_run =
            json_object_get(meta, "run_id") || json_object_get(meta, "run_uuid");
        rc = !meta ? err_code(err) : is_run ? take_run(f, dir, meta, err) : 0;
        if (is_run && ++runs > FOREIGN_MAX_RUNS && rc >= 0)
            rc =
                err_set(err, ERR_CONFIG, "%s: more than %d runs", path, FOREIGN_MAX_RUNS);
        json_decref(meta);
        free(dir);
    }
    found_files_release(&found);
    return rc < 0 ? rc : 0;
}
