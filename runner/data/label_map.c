/* runner/data/label_map.c - class names, sorted, and their indices. */
#include "runner/data/label_map.h"
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CLASSES_MAX 100000
#define NAMES_SHOWN 8

void labels_release(struct labels *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->names[i]);
    free(l->names);
    free(l->source);
    memset(l, 0, sizeof *l);
}

void label_map_init(struct label_map *m, struct labels *labels)
{
    *m = (struct label_map){labels, strmap_new(), -1};
    for (size_t i = 0; i < labels->count; i++)
        strmap_put(m->index, labels->names[i], strlen(labels->names[i]), (int64_t)i);
}

void label_map_release(struct label_map *m)
{
    strmap_free(m->index);
}

static void add_name(struct labels *l, char *name)
{
    /* doubles when the count is a power of two */
    if ((l->count & (l->count - 1)) == 0)
        l->names = xrealloc(l->names, (l->count ? 2 * l->count : 1) * sizeof *l->names);
    l->names[l->count++] = name;
}

static int mixed(struct err *err)
{
    return err_set(err, ERR_PARSE, "labels are integers in some rows and text in others");
}

static int too_many(struct err *err)
{
    return err_set(err, ERR_PARSE, "more than %d classes", CLASSES_MAX);
}

static int not_a_label(const json_t *label, struct err *err)
{
    return err_set(err, ERR_PARSE, "a label must be an integer or text%s",
                   json_is_real(label)
                       ? ", not a fraction; numbers are learned with 'problem_type: "
                         "regression' and 'num_labels: 1'"
                       : "");
}

/* A hole in the data must not become a class. */
static bool is_missing(const json_t *label, struct err *err)
{
    const char *s = json_string_value(label);
    const bool blank =
        s && s[strspn(s, " \t\r\n")] == '\0' && strlen(s) == json_string_length(label);
    if (!blank && !json_is_null(label))
        return false;
    err_set(err, ERR_PARSE,
            "the label is missing (%s); give the row a label or take it out",
            blank ? "an empty text" : "null");
    return true;
}

int label_map_learn(struct label_map *m, const json_t *label, struct err *err)
{
    int64_t known;
    if (is_missing(label, err))
        return -ERR_PARSE;
    if (json_is_integer(label)) {
        int64_t v = json_integer_value(label);
        if (m->labels->count)
            return mixed(err);
        if (v < 0)
            return err_set(err, ERR_PARSE, "label %" PRId64 " is negative", v);
        if (v >= CLASSES_MAX)
            return too_many(err);
        m->highest = v > m->highest ? v : m->highest;
        return 0;
    }
    if (!json_is_string(label))
        return not_a_label(label, err);
    if (m->highest >= 0)
        return mixed(err);
    const char *s = json_string_value(label);
    if (strmap_get(m->index, s, strlen(s), &known))
        return 0;
    if (m->labels->count >= CLASSES_MAX)
        return too_many(err);
    strmap_put(m->index, s, strlen(s), 0);
    add_name(m->labels, xstrdup(s));
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* --- the model's own numbers --- */

/* Which of the names it is, by its spelling or else by the only one that differs in case;
 * count: none. */
static size_t find_known(const struct labels *known, const char *name)
{
    size_t found = known->count, hits = 0;
    for (size_t i = 0; i < known->count; i++) {
        if (str_eq(known->names[i], name))
            return i;
        if (!strcasecmp(known->names[i], name))
            found = i, hits++;
    }
    return hits == 1 ? found : known->count;
}

static int not_known(const struct labels *l, const struct labels *known, struct err *err)
{
    struct buf b = BUF_INIT;
    const char *strange = "";
    for (size_t i = 0; i < known->count && i < NAMES_SHOWN; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", known->names[i]);
    for (size_t i = 0; i < l->count; i++)
        if (find_known(known, l->names[i]) == known->count)
            strange = l->names[i];
    int rc = err_set(
        err, ERR_CONFIG,
        "label '%.100s' is none of those that label2id in %s names (%.400s%s); "
        "name them alike, or use integers",
        strange, known->source, buf_str(&b), known->count > NAMES_SHOWN ? ", ..." : "");
    buf_release(&b);
    return rc;
}

/* Puts the learned names, in any order, where the model has them: 1, or 0 where its names
 * are of something else. */
static int take_numbers(struct labels *l, const struct data_spec *spec, struct err *err)
{
    const struct labels *known = spec->known;
    const bool as_many =
        spec->num_labels <= 0 || (size_t)spec->num_labels == known->count;
    size_t hits = 0;
    for (size_t i = 0; i < l->count; i++)
        hits += find_known(known, l->names[i]) < known->count;
    if (!as_many || (hits == 0 && !spec->must_fit))
        return 0;
    if (hits < l->count) {
        const bool other = l->count != known->count && spec->num_labels <= 0;
        return other && !spec->must_fit ? 0 : not_known(l, known, err);
    }
    char **names = xcalloc(known->count, sizeof *names);
    for (size_t i = 0; i < l->count; i++) {
        char **at = &names[find_known(known, l->names[i])];
        if (*at) {
            int rc = err_set(err, ERR_PARSE,
                             "labels '%.100s' and '%.100s' are one class of %s", *at,
                             l->names[i], known->source);
            free(names);
            return rc;
        }
        *at = l->names[i];
    }
    for (size_t k = 0; k < known->count; k++)
        if (!names[k])
            names[k] = xstrdup(known->names[k]);
    free(l->names);
    l->names = names;
    l->count = known->count;
    return 1;
}

static bool is_made_up(const struct labels *l)
{
    char plain[32];
    for (size_t i = 0; i < l->count; i++) {
        snprintf(plain, sizeof plain, "LABEL_%zu", i);
        if (!str_eq(l->names[i], plain))
            return false;
    }
    return true;
}

/* One name at its number; `other`: said twice. */
static int put_name(struct labels *l, size_t count, int64_t id, const char *name,
                    const char *file, struct err *err)
{
    if (id < 0 || (size_t)id >= count || !name)
        return err_set(err, ERR_PARSE,
                       "%s: label2id and id2label must number %zu names from 0 on", file,
                       count);
    if (l->names[id] && !str_eq(l->names[id], name))
        return err_set(err, ERR_PARSE,
                       "%s: label2id and id2label do not agree on %" PRId64
                       " ('%.80s', '%.80s')",
                       file, id, l->names[id], name);
    if (!l->names[id])
        l->names[id] = xstrdup(name);
    return 0;
}

int labels_of_model(struct labels *out, const json_t *config, const char *file,
                    struct err *err)
{
    json_t *to_id = json_object_get(config, "label2id"),
           *to_name = json_object_get(config, "id2label"), *v;
    const size_t a = json_object_size(to_id), b = json_object_size(to_name),
                 count = a > b ? a : b;
    const char *key;
    int rc = 0;
    *out = (struct labels){0};
    if (!count || count > CLASSES_MAX)
        return 0;
    out->names = xcalloc(count, sizeof *out->names);
    out->count = count;
    out->from_strings = true;
    out->source = xasprintf("%s", file);
    json_object_foreach(to_id, key, v)
    {
        if (!rc)
            rc = put_name(out, count, json_is_integer(v) ? json_integer_value(v) : -1,
                          key, file, err);
    }
    json_object_foreach(to_name, key, v)
    {
        char *end;
        const long id = strtol(key, &end, 10);
        if (!rc)
            rc = put_name(out, count, *key && !*end ? id : -1, json_string_value(v), file,
                          err);
    }
    for (size_t i = 0; i < count && !rc; i++)
        if (!out->names[i])
            rc = put_name(out, count, -1, NULL, file, err);
    if (rc || is_made_up(out))
        labels_release(out);
    return rc;
}

/* --- the classes of a training file --- */

int label_map_fix(struct label_map *m, const struct data_spec *spec, const char *source,
                  struct err *err)
{
    struct labels *l = m->labels;
    const int32_t num_labels = spec->num_labels;
    l->from_strings = m->highest < 0;
    size_t found = l->from_strings ? l->count : (size_t)m->highest + 1;
    if (num_labels > 0 && found > (size_t)num_labels)
        return err_set(err, ERR_CONFIG,
                       "data file '%s': %zu classes, but num_labels is %" PRId32, source,
                       found, num_labels);
    int known = 0;
    if (l->count && spec->known && spec->known->count)
        known = take_numbers(l, spec, err);
    if (known < 0)
        return err_context(err, "data file '%s': ", source);
    if (l->count && !known && spec->untaught)
        return err_set(
            err, ERR_CONFIG,
            "data file '%s': the labels are text, and without 'train_data' only "
            "the model could number them, which does not; give 'train_data', or "
            "labels as integers",
            source);
    if (l->count && !known)
        qsort(l->names, l->count, sizeof *l->names, by_text);
    size_t want = num_labels > 0 ? (size_t)num_labels : known ? l->count : found;
    while (l->count < want)
        add_name(l, l->from_strings ? xasprintf("LABEL_%zu", l->count)
                                    : xasprintf("%zu", l->count));
    for (size_t i = 0; i < l->count; i++)
        strmap_put(m->index, l->names[i], strlen(l->names[i]), (int64_t)i);
    free(l->source);
    l->source = xstrdup(source);
    return 0;
}

static int unknown_name(const struct labels *l, const char *name, struct err *err)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < l->count && i < NAMES_SHOWN; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", l->names[i]);
    int rc =
        err_set(err, ERR_PARSE,
                "label '%.100s' does not occur in the training data%s%s%s (%.400s%s)",
                name, l->source ? " '" : "", l->source ? l->source : "",
                l->source ? "'" : "", buf_str(&b), l->count > NAMES_SHOWN ? ", ..." : "");
    buf_release(&b);
    return rc;
}

int label_map_index(const struct label_map *m, const json_t *label, int32_t *out,
                    struct err *err)
{
    const struct labels *l = m->labels;
    int64_t found;
    if (is_missing(label, err))
        return -ERR_PARSE;
    if (json_is_integer(label) && !l->from_strings) {
        int64_t v = json_integer_value(label);
        if (v < 0 || (uint64_t)v >= l->count)
            return err_set(err, ERR_PARSE, "label %" PRId64 " is not in 0..%zu", v,
                           l->count - 1);
        *out = (int32_t)v;
        return 0;
    }
    if (json_is_integer(label))
        return err_set(err, ERR_PARSE,
                       "label %" JSON_INTEGER_FORMAT
                       " is an integer, the training labels are text",
                       json_integer_value(label));
    if (!json_is_string(label))
        return not_a_label(label, err);
    const char *s = json_string_value(label);
    if (!l->from_strings)
        return err_set(err, ERR_PARSE,
                       "label '%.100s' is text, the training labels are integers", s);
    if (!strmap_get(m->index, s, strlen(s), &found))
        return unknown_name(l, s, err);
    *out = (int32_t)found;
    return 0;
}

int labels_of_folder(struct labels *out, const char *dir, int64_t *count, struct err *err)
{
    static const char *const files[] = {"head_config.json", "config.json"};
    int64_t said = 0;
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(files) && !out->count && !rc; i++) {
        char *path = fs_join(dir, files[i]);
        json_t *c = fs_exists(path) ? json_read_file(path, err) : json_object();
        rc = c ? labels_of_model(out, c, path, err) : err_code(err);
        if (!rc && !said)
            said = json_get_int(c, "num_labels", (int64_t)out->count);
        json_decref(c);
        free(path);
    }
    if (count)
        *count = said;
    return rc;
}
