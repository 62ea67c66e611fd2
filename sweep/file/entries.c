/* sweep/file/entries.c - `exclude` and `include`. */
#include "lib/mem.h"
#include "sweep/file/file_parts.h"
#include "sweep/space/value.h"
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 10000

/* A key of an include that is no parameter is a trial key; an exclude has none such. */
static int read_extra(struct sweep_file *f, struct sweep_entry *e, const char *path,
                      const char *key, const json_t *value, bool include,
                      const struct opt_table *keys, struct err *err)
{
    if (!include)
        return sweep_file_error(f, path, err, "'%s' is no parameter of this sweep", key);
    if (value_is_expr(value))
        return sweep_file_error(f, path, err,
                                "only a parameter can be computed; declare '%s'", key);
    if (keys && !opt_find(keys, key)) {
        int rc = opt_unknown(keys, key, "trial key", err);
        err_context(err, "%s: ", conf_where(f->conf, path));
        return rc;
    }
    json_object_set_new(e->extra, key, value_canon(value));
    return 0;
}

static int read_entry(struct sweep_file *f, struct sweep_entry *e, const json_t *object,
                      bool include, const struct opt_table *keys, struct err *err)
{
    const char *key;
    json_t *value;
    int64_t index;
    e->by_param = xcalloc(f->param_count, sizeof *e->by_param);
    e->extra = json_object();
    if (!json_is_object(object) || !json_object_size(object))
        return sweep_file_error(f, e->path, err,
                                "an entry is a mapping of parameters to values");
    json_object_foreach((json_t *)object, key, value)
    {
        char *path = xasprintf("%s.%s", e->path, key);
        bool known = strmap_get(f->names, key, strlen(key), &index);
        int rc = known ? file_choice(f, path, value, &e->by_param[index], err)
                       : read_extra(f, e, path, key, value, include, keys, err);
        free(path);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_list(struct sweep_file *f, const char *name, const json_t *list,
                     struct sweep_entry **out, size_t *count,
                     const struct opt_table *keys, struct err *err)
{
    size_t i;
    json_t *item;
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > ENTRIES_MAX)
        return sweep_file_error(f, name, err, "%s must be a list of at most %d mappings",
                                name, ENTRIES_MAX);
    *out = xcalloc(json_array_size(list) + 1, sizeof **out);
    json_array_foreach(list, i, item)
    {
        struct sweep_entry *e = &(*out)[(*count)++];
        e->path = xasprintf("%s[%zu]", name, i);
        int rc = read_entry(f, e, item, !strcmp(name, "include"), keys, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int file_entries(struct sweep_file *f, const json_t *exclude, const json_t *include,
                 const struct opt_table *keys, struct err *err)
{
    int rc = read_list(f, "exclude", exclude, &f->excludes, &f->exclude_count, keys, err);
    return rc < 0 ? rc
                  : read_list(f, "include", include, &f->includes, &f->include_count,
                              keys, err);
}
