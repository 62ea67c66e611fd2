/* runner/nn/peft/method.c - the registry of methods and presets. */
#include "runner/nn/peft/method.h"
#include "lib/config/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdio.h>
#include <string.h>

static const struct method *const methods[] = {
#define METHOD(id) &method_##id,
#define PRESET(name, id, options)
#include "runner/nn/peft/methods.def"
#undef METHOD
#undef PRESET
};

static const struct preset presets[] = {
#define METHOD(id)
#define PRESET(name, id, options) {name, &method_##id, options},
#include "runner/nn/peft/methods.def"
#undef METHOD
#undef PRESET
};

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

const struct method *method_behind(const char *name)
{
    const struct preset *p = preset_find(name);
    return p ? p->method : method_find(name, NULL);
}

const struct method *method_of(const json_t *tree, struct err *err)
{
    return method_find(json_get_str(tree, "method", METHOD_DEFAULT), err);
}

const struct method *method_of_peft(const char *peft_type)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(methods[i]->peft_type, peft_type))
            return methods[i];
    return NULL;
}

bool method_reads(const struct method *m, const char *key)
{
    return m && m->reads && str_in_list(key, m->reads, '|');
}

/* --- facts --- */

static void row_facts(const struct method *m, const char *name, struct method_facts *out)
{
    *out = (struct method_facts){.changes_base = m->changes_base,
                                 .mergeable = !m->no_merge,
                                 .quantisable = method_reads(m, "quantization"),
                                 .virtual_tokens = m->virtual_tokens,
                                 .training_cost = m->training_cost};
    snprintf(out->name, sizeof out->name, "%s", name);
    snprintf(out->shown, sizeof out->shown, "%s", name);
    snprintf(out->method, sizeof out->method, "%s", m->name);
}

/* How many options the preset sets, where the trial has them all; else 0. */
static size_t options_met(const struct preset *p, const struct trial *t)
{
    json_t *options = conf_parse_value(p->options, NULL), *v;
    const char *key;
    size_t met = 0;
    json_object_foreach(options, key, v)
    {
        met += json_equal(json_object_get(t->filled, key), v);
    }
    if (met != json_object_size(options))
        met = 0;
    json_decref(options);
    return met;
}

static const struct preset *preset_of(const struct method *m, const struct trial *t)
{
    const struct preset *best = NULL;
    size_t most = 1;
    for (size_t i = 0; i < ARRAY_LEN(presets); i++) {
        const size_t met = presets[i].method == m ? options_met(&presets[i], t) : 0;
        if (met >= most) {
            most = met;
            best = &presets[i];
        }
    }
    return best;
}

void method_facts_of(const json_t *resolved, struct method_facts *out)
{
    struct trial t;
    const struct method *m = method_of(resolved, NULL);
    *out = (struct method_facts){0};
    if (!m)
        return;
    trial_init(&t, resolved);
    const struct preset *p = preset_of(m, &t);
    row_facts(m, p ? p->name : m->name, out);
    out->quantised = out->quantisable && !str_eq(t.quantization, "none");
    if (out->quantised && !(p && strstr(p->options, "quantization:")))
        snprintf(out->shown, sizeof out->shown, "%s on %s", out->name, t.quantization);
    if (m->facts)
        m->facts(&t, out);
    trial_release(&t);
}

size_t method_facts_all(struct method_facts *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(methods) && n < max; i++)
        row_facts(methods[i], methods[i]->name, &out[n++]);
    for (size_t i = 0; i < ARRAY_LEN(presets) && n < max; i++) {
        json_t *trial = conf_parse_value(presets[i].options, NULL);
        json_object_set_new(trial, "method", json_string(presets[i].method->name));
        method_facts_of(trial, &out[n++]);
        json_decref(trial);
    }
    return n;
}
