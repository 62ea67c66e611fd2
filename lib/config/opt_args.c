/* lib/config/opt_args.c - a command line read with an option table. */
#include "lib/config/opt.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct args {
    const struct opt_table *table;
    int argc, at;
    char **argv;
    json_t *values;
    const char **positional;
    size_t max_positional, count;
    bool help;
    struct err *err;
};

static int unknown_flag(const struct args *a, const char *flag, const char *name)
{
    const bool negated = str_has_prefix(name, "no-") || str_has_prefix(name, "no_");
    const char *near = opt_nearest(a->table, negated ? name + 3 : name);
    char *spelled = near ? xstrdup(near) : NULL, *clean = str_clean(flag, strlen(flag));
    for (char *p = spelled; p && *p; p++)
        *p = *p == '_' ? '-' : *p;
    int rc = near ? err_set(a->err, ERR_USAGE, "unknown flag '%s' (did you mean '--%s'?)",
                            clean, spelled)
                  : err_set(a->err, ERR_USAGE, "unknown flag '%s' (see --help)", clean);
    free(spelled);
    free(clean);
    return rc;
}

/* Puts `value` (stolen; NULL with a message in `why`) under the option's key. */
static int store(struct args *a, const struct opt_def *def, const char *flag,
                 json_t *value, const struct err *why)
{
    if (!value)
        return err_set(a->err, ERR_USAGE, "flag '%s': %s", flag, why->msg);
    json_t *old = json_object_get(a->values, def->key);
    if (old && def->flags & OPT_REPEATED) {
        json_array_extend(old, value);
        json_decref(value);
        return 0;
    }
    if (old) {
        json_decref(value);
        return err_set(a->err, ERR_USAGE, "flag '%s' is given twice", flag);
    }
    json_object_set_new(a->values, def->key, value);
    return 0;
}

static int take_text(struct args *a, const struct opt_def *def, const char *flag,
                     const char *text)
{
    struct err why = ERR_INIT;
    json_t *v = opt_from_text(def, text, &why);
    return store(a, def, flag, v, &why);
}

/* `word` is "--key", "--key=value", "--no-key" or "-k". */
static int take_flag(struct args *a, const char *word)
{
    const char *name = word + (word[1] == '-' ? 2 : 1);
    const char *equals = strchr(name, '=');
    char *key = xstrndup(name, equals ? (size_t)(equals - name) : strlen(name));
    char *flag = xstrndup(word, (size_t)(name - word) + strlen(key));
    const struct opt_def *def = opt_find(a->table, key);
    bool negated = !def && (!strncmp(key, "no-", 3) || !strncmp(key, "no_", 3));
    if (negated)
        def = opt_find(a->table, key + 3);
    /* One dash is for one letter: -n, not -name. */
    bool known = def && (word[1] == '-' || strlen(key) == 1) &&
                 !(negated && def->type != OPT_BOOL);
    const char *next = a->at < a->argc ? a->argv[a->at] : NULL;
    int rc;
    if (!known)
        rc = unknown_flag(a, flag, negated && !def ? key + 3 : key);
    else if (negated && equals)
        rc = err_set(a->err, ERR_USAGE, "flag '%s' takes no value", flag);
    else if (equals)
        rc = take_text(a, def, flag, equals + 1);
    else if (def->type == OPT_BOOL)
        rc = store(a, def, flag, json_boolean(!negated), NULL);
    else if (!next || !strncmp(next, "--", 2))
        rc = err_set(a->err, ERR_USAGE, "flag '%s' needs a value", flag);
    else
        rc = take_text(a, def, flag, a->argv[a->at++]);
    free(key);
    free(flag);
    return rc;
}

static int take_positional(struct args *a, const char *word)
{
    if (a->count < a->max_positional) {
        a->positional[a->count++] = word;
        return 0;
    }
    char *clean = str_clean(word, strlen(word));
    int rc = a->max_positional
                 ? err_set(a->err, ERR_USAGE, "too many arguments at '%s' (at most %zu)",
                           clean, a->max_positional)
                 : err_set(a->err, ERR_USAGE, "unexpected argument '%s'", clean);
    free(clean);
    return rc;
}

/* "-" is a file name (standard input), "-5" and "-.5" are numbers. */
static bool looks_like_flag(const char *word)
{
    return word[0] == '-' && word[1] && word[1] != '.' &&
           !isdigit((unsigned char)word[1]);
}

static int take_words(struct args *a)
{
    bool flags = true;
    while (a->at < a->argc && !a->help) {
        const char *word = a->argv[a->at++];
        int rc = 0;
        if (flags && !strcmp(word, "--"))
            flags = false;
        else if (flags && (!strcmp(word, "-h") || !strcmp(word, "--help")))
            a->help = true;
        else if (flags && looks_like_flag(word))
            rc = take_flag(a, word);
        else
            rc = take_positional(a, word);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int fill_defaults(struct args *a)
{
    for (size_t i = 0; i < a->table->count; i++) {
        const struct opt_def *def = &a->table->rows[i];
        if (json_object_get(a->values, def->key))
            continue;
        if (def->flags & OPT_REQUIRED && !def->preset && !a->help) {
            char *flag = xstrdup(def->key);
            for (char *p = flag; *p; p++)
                *p = *p == '_' ? '-' : *p;
            int rc = err_set(a->err, ERR_USAGE, "flag '--%s' is required", flag);
            free(flag);
            return rc;
        }
        json_object_set_new(a->values, def->key, opt_default(def));
    }
    return 0;
}

int opt_parse_args(const struct opt_table *t, int argc, char **argv, json_t **values,
                   const char **positional, size_t max_positional,
                   size_t *positional_count, bool *help, struct err *err)
{
    struct args a = {.table = t,
                     .argc = argc,
                     .argv = argv,
                     .values = json_object(),
                     .positional = positional,
                     .max_positional = max_positional,
                     .err = err};
    int rc = take_words(&a);
    if (rc == 0)
        rc = fill_defaults(&a);
    *help = a.help;
    if (positional_count)
        *positional_count = a.count;
    *values = rc < 0 ? NULL : a.values;
    if (rc < 0)
        json_decref(a.values);
    return rc;
}
