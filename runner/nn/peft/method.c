/* runner/nn/peft/method.c - the registry of methods and presets. */
#include "runner/nn/peft/method.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <string.h>

#define METHOD(id) extern const struct method method_##id;
#define PRESET(name, method, options)
#include "runner/nn/peft/methods.def"
#undef METHOD
#undef PRESET

static const struct method *const methods[] = {
#define METHOD(id) &method_##id,
#define PRESET(name, method, options)
#include "runner/nn/peft/methods.def"
#undef METHOD
#undef PRESET
};

static const struct preset presets[] = {
#define METHOD(id)
#define PRESET(name, method, options) {name, method, options},
#include "runner/nn/peft/methods.def"
#undef METHOD
#undef PRESET
};

const char *const seq_cls_modules[2] = {"classifier", "score"};

size_t method_names(const char **out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(methods) && n < max; i++)
        out[n++] = methods[i]->name;
    for (size_t i = 0; i < ARRAY_LEN(presets) && n < max; i++)
        out[n++] = presets[i].name;
    return n;
}

const struct preset *preset_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(presets); i++)
        if (str_eq(presets[i].name, name))
            return &presets[i];
    return NULL;
}

const struct method *method_find(const char *name, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(methods[i]->name, name))
            return methods[i];
    const char *names[ARRAY_LEN(methods) + ARRAY_LEN(presets)];
    const size_t n = method_names(names, ARRAY_LEN(names));
    const char *near = str_nearest(name, names, n);
    struct buf known = BUF_INIT;
    for (size_t i = 0; i < n; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", names[i]);
    err_set(err, ERR_CONFIG, "unknown method '%s'%s%s%s (known: %s)", name,
            near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "",
            buf_str(&known));
    buf_release(&known);
    return NULL;
}
