/* lib/config/opt.c - see opt.h: finding rows and reading values from text. Checks are in
 * opt_check.c, flags in opt_args.c, help in opt_help.c. */
#include "lib/config/opt.h"
#include "lib/config/conf.h"
#include "lib/config/opt_parts.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

/* ---- Names ---- */

/* Compares with '-' and '_' taken for the same; `b` ends at `len`. */
static bool same_key(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (a[i] != b[i] && !(strchr("-_", a[i]) && a[i] && (b[i] == '-' || b[i] == '_')))
            return false;
    return a[len] == '\0';
}

bool opt_list_entry(const char *list, size_t index, const char **start, size_t *len)
{
    for (const char *p = list; p && *p; index--) {
        const char *end = strchrnul(p, '|');
        if (index == 0) {
            *start = p;
            *len = (size_t)(end - p);
            return true;
        }
        p = *end ? end + 1 : end;
    }
    return false;
}

static bool row_is_called(const struct opt_def *def, const char *key)
{
    const char *alias;
    size_t len;
    if (same_key(key, def->key, strlen(def->key)))
        return true;
    for (size_t i = 0; opt_list_entry(def->aliases, i, &alias, &len); i++)
        if (same_key(key, alias, len))
            return true;
    return false;
}

const struct opt_def *opt_find(const struct opt_table *t, const char *key)
{
    for (size_t i = 0; i < t->count; i++)
        if (row_is_called(&t->rows[i], key))
            return &t->rows[i];
    return NULL;
}

static const char *nearest_among(const struct opt_table *t, const char *key,
                                 opt_wanted *wanted, const void *ctx)
{
    char **names = NULL;
    size_t count = 0, cap = 0, len;
    for (size_t i = 0; i < t->count; i++) {
        const struct opt_def *def = &t->rows[i];
        const char *alias;
        if (wanted && !wanted(def, ctx))
            continue;
        names = xgrow(names, &cap, count + 1, sizeof *names);
        names[count++] = xstrdup(def->key);
        for (size_t j = 0; opt_list_entry(def->aliases, j, &alias, &len); j++) {
            if (len <= 2) /* one or two letters are near everything */
                continue;
            names = xgrow(names, &cap, count + 1, sizeof *names);
            names[count++] = xstrndup(alias, len);
        }
    }
    const char *near = str_nearest(key, (const char *const *)names, count);
    const struct opt_def *def = near ? opt_find(t, near) : NULL;
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return def ? def->key : NULL;
}

const char *opt_nearest(const struct opt_table *t, const char *key)
{
    return nearest_among(t, key, NULL, NULL);
}

int opt_unknown(const struct opt_table *t, const char *key, const char *what,
                struct err *err)
{
    return opt_unknown_among(t, key, what, NULL, NULL, err);
}

int opt_unknown_among(const struct opt_table *t, const char *key, const char *what,
                      opt_wanted *wanted, const void *ctx, struct err *err)
{
    const char *near = nearest_among(t, key, wanted, ctx), *dot = strrchr(key, '.');
    if (!near && dot && opt_find(t, dot + 1))
        near = opt_find(t, dot + 1)->key;
    if (!near && dot)
        near = nearest_among(t, dot + 1, wanted, ctx);
    char *clean = str_clean(key, strlen(key));
    int rc =
        near ? err_set(err, ERR_CONFIG, "unknown %s '%s' (did you mean '%s'?)",
                       what ? what : "key", clean, near)
             : err_set(err, ERR_CONFIG, "unknown %s '%s'", what ? what : "key", clean);
    free(clean);
    return rc;
}

/* ---- Text ---- */

/* "a, b,c" as a list, items read by `item`. */
static json_t *split_commas(const char *text, json_t *(*item)(const char *))
{
    json_t *list = json_array();
    for (const char *p = text;;) {
        const char *end = strchrnul(p, ',');
        const char *start = p + strspn(p, " ");
        size_t n = end > start ? (size_t)(end - start) : 0;
        while (n > 0 && start[n - 1] == ' ')
            n--;
        char *word = xstrndup(start, n);
        if (n > 0)
            json_array_append_new(list, item(word));
        free(word);
        if (!*end)
            return list;
        p = end + 1;
    }
}

/* What YAML cannot read is text; the check then says what was expected. */
static json_t *yaml_or_text(const char *text)
{
    json_t *v = conf_parse_value(text, NULL);
    return v ? v : json_string(text);
}

static json_t *text_value(const char *text)
{
    return json_string(text);
}

static json_t *read_text(const struct opt_def *def, const char *text, struct err *err)
{
    switch (def->type) {
    case OPT_STRING:
    case OPT_PATH:
    case OPT_CHOICE:
        return json_string(text);
    case OPT_BOOL:
    case OPT_INT:
    case OPT_FLOAT:
        return yaml_or_text(text);
    case OPT_NAMES:
        if (text[strspn(text, " ")] == '[')
            break;
        return strchr(text, ',') ? split_commas(text, text_value) : json_string(text);
    case OPT_INTS:
        if (text[strspn(text, " ")] == '[' || !strchr(text, ','))
            break;
        return split_commas(text, yaml_or_text);
    case OPT_MAP:
    case OPT_ANY:
        break;
    }
    json_t *v = conf_parse_value(text, err);
    if (!v)
        err_context(err, "%s: cannot read '%.60s': ", def->key, text);
    return v;
}

json_t *opt_from_text(const struct opt_def *def, const char *text, struct err *err)
{
    bool null = !strcmp(text, "null") || !strcmp(text, "~");
    json_t *raw = null ? json_null() : read_text(def, text, err);
    if (!raw) {
        /* json_string refuses what is not UTF-8 without a message. */
        err_set(err, ERR_CONFIG, "%s is not valid UTF-8", def->key);
        return NULL;
    }
    json_t *v = opt_check(def, raw, err);
    json_decref(raw);
    return v;
}

json_t *opt_default(const struct opt_def *def)
{
    if (!def->preset)
        return def->flags & OPT_REPEATED ? json_array() : json_null();
    json_t *v = opt_from_text(def, def->preset, NULL);
    return v ? v : json_null();
}
