/* runner/hub/known.c - see known.h. */
#include "runner/hub/known.h"
#include "lib/buf.h"
#include "lib/embed.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define KNOWN(id, name, aliases, hub_id)                                                 \
    EMBED(known_##id, "runner/hub/configs/" name ".json");
#include "runner/hub/known.def"
#undef KNOWN

const struct known_model known_models[] = {
#define KNOWN(id, name, aliases, hub_id)                                                 \
    {name, aliases, hub_id, known_##id, &known_##id##_size},
#include "runner/hub/known.def"
#undef KNOWN
};
const size_t known_model_count = ARRAY_LEN(known_models);

/* "meta-llama/Llama-2-7b-hf" and "llama2-7b" are both "llama27b". */
static void normal_form(const char *name, size_t len, char *out, size_t n)
{
    size_t at = 0;
    for (size_t i = len; i > 0; i--)
        if (name[i - 1] == '/') {
            name += i;
            len -= i;
            break;
        }
    if (len > 3 && !strncasecmp(name + len - 3, "-hf", 3))
        len -= 3;
    for (size_t i = 0; i < len && at + 1 < n; i++)
        if (isalnum((unsigned char)name[i]))
            out[at++] = (char)tolower((unsigned char)name[i]);
    out[at] = '\0';
}

static bool is_called(const struct known_model *m, const char *wanted)
{
    char own[128];
    normal_form(m->name, strlen(m->name), own, sizeof own);
    if (str_eq(own, wanted))
        return true;
    normal_form(m->hub_id, strlen(m->hub_id), own, sizeof own);
    if (str_eq(own, wanted))
        return true;
    for (const char *a = m->aliases; a; a = strchr(a, '|') ? strchr(a, '|') + 1 : NULL) {
        normal_form(a, strcspn(a, "|"), own, sizeof own);
        if (str_eq(own, wanted))
            return true;
    }
    return false;
}

const struct known_model *known_model_find(const char *name)
{
    char wanted[128];
    normal_form(name, strlen(name), wanted, sizeof wanted);
    for (size_t i = 0; i < known_model_count && *wanted; i++)
        if (is_called(&known_models[i], wanted))
            return &known_models[i];
    return NULL;
}

json_t *known_model_config(const struct known_model *m, struct err *err)
{
    json_t *config = json_parse(m->config, *m->config_size, m->name, err);
    if (!config)
        err_context(err, "built-in configuration, this is a bug: ");
    return config;
}

int known_model_missing(const char *name, struct err *err)
{
    const char *names[ARRAY_LEN(known_models)];
    struct buf list = BUF_INIT;
    for (size_t i = 0; i < known_model_count; i++) {
        names[i] = known_models[i].name;
        buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = str_nearest(name, names, known_model_count);
    int rc = err_set(err, ERR_NOINPUT,
                     "model '%.100s': neither a folder nor a known name%s%s%s; known are "
                     "%.700s",
                     name, near ? " (did you mean '" : "", near ? near : "",
                     near ? "'?)" : "", buf_str(&list));
    buf_release(&list);
    return rc;
}
