/* runner/convert/convert.c - the targets as a table, and what there is to convert. */
#include "runner/convert/convert.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/hub/gguf.h"
#include "runner/nn/adapter_files/trial_of.h"
#include <stdlib.h>
#include <string.h>

static const struct convert_target targets[] = {
#define TARGET(id, name, dtypes, help) {name, dtypes, help, convert_##id},
#include "runner/convert/targets.def"
#undef TARGET
};

const struct convert_target *convert_target_at(size_t i)
{
    return i < ARRAY_LEN(targets) ? &targets[i] : NULL;
}

static const struct convert_target *find_target(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(targets); i++)
        if (str_eq(targets[i].name, name))
            return &targets[i];
    return NULL;
}

/* --- what `from` is --- */

static int look_into_gguf(const char *path, enum convert_from *kind, struct err *err)
{
    struct gguf *g;
    int rc = gguf_open(path, &g, err);
    if (rc)
        return rc;
    json_t *type = gguf_string(g, "general.type");
    *kind = str_eq(json_string_value(type), "adapter") ? FROM_GGUF_LORA : FROM_MODEL;
    json_decref(type);
    gguf_close(g);
    return 0;
}

static int find_source(const char *from, struct convert *c, struct err *err)
{
    char *inner = fs_join(from, "adapter");
    c->path = xstrdup(from);
    c->kind = FROM_MODEL;
    int rc = 0;
    if (adapter_is_folder(from)) {
        c->kind = FROM_ADAPTER;
    } else if (adapter_is_folder(inner)) { /* a run folder */
        free(c->path);
        c->path = xstrdup(inner);
        c->kind = FROM_ADAPTER;
    } else if (gguf_is_file(from)) {
        rc = look_into_gguf(from, &c->kind, err);
    }
    free(inner);
    return rc;
}

/* --- */

static int find_dtype(const struct convert_target *t, const char *wanted,
                      const struct block_type **out, struct err *err)
{
    char *first = xstrndup(t->dtypes, strcspn(t->dtypes, "|"));
    int rc = 0;
    if (wanted && !str_in_list(wanted, t->dtypes, '|'))
        rc = *t->dtypes
                 ? err_set(err, ERR_USAGE, "--dtype %s: %s is written as %s", wanted,
                           t->name, t->dtypes)
                 : err_set(err, ERR_USAGE,
                           "--dtype %s: %s has no choice, its numbers stay as they "
                           "are",
                           wanted, t->name);
    *out = block_type_named(wanted ? wanted : first);
    free(first);
    return rc;
}

int convert_run(const char *target, const char *from, const char *model,
                const char *dtype, const char *out, bool overwrite,
                struct convert_report *report, struct err *err)
{
    const struct convert_target *t = find_target(target);
    struct convert c = {.model = model, .out = out, .overwrite = overwrite};
    *report = (struct convert_report){0};
    if (!t)
        return err_set(err, ERR_USAGE, "--to %s: not known", target);
    int rc = find_dtype(t, dtype, &c.dtype, err);
    if (!rc && fs_exists(out) && !overwrite)
        rc = err_set(err, ERR_CONFIG,
                     "'%s' is there already; give another name, or "
                     "--overwrite",
                     out);
    if (!rc)
        rc = find_source(from, &c, err);
    if (!rc && c.kind == FROM_MODEL && model)
        rc = err_set(err, ERR_USAGE,
                     "'%s' is no adapter, so that --model has no meaning: an adapter's "
                     "folder holds adapter_config.json",
                     from);
    if (!rc)
        rc = t->write(&c, report, err);
    free(c.path);
    return rc;
}
