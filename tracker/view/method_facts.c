/* tracker/view/method_facts.c - see method_facts.h. */
#include "tracker/view/method_facts.h"
#include "lib/json.h"
#include "lib/str.h"
#include <math.h>
#include <stdio.h>

const char *const base_change_names[BASE_CHANGE_COUNT] = {
#define X(name, said) #name,
    BASE_CHANGES(X)
#undef X
};
const char *const base_change_said[BASE_CHANGE_COUNT] = {
#define X(name, said) said,
    BASE_CHANGES(X)
#undef X
};

json_t *method_facts_json(const struct method_facts *f)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:f}", "name", f->name,
                     "shown", f->shown, "method", f->method, "changes_base",
                     base_change_names[f->changes_base], "mergeable", f->mergeable,
                     "quantisable", f->quantisable, "quantised", f->quantised,
                     "virtual_tokens", f->virtual_tokens, "training_cost",
                     f->training_cost);
}

static bool read_flag(const json_t *j, const char *key, bool *out)
{
    const json_t *v = json_object_get(j, key);
    *out = json_is_true(v);
    return json_is_boolean(v);
}

static bool read_text(const json_t *j, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(j, key));
    snprintf(out, size, "%s", text ? text : "");
    return text && *text;
}

bool method_facts_read(const json_t *j, struct method_facts *out)
{
    const char *change = json_get_str(j, "changes_base", "");
    int i = 0;
    while (i < BASE_CHANGE_COUNT && !str_eq(change, base_change_names[i]))
        i++;
    *out = (struct method_facts){.changes_base = (enum base_change)i,
                                 .training_cost = json_get_num(j, "training_cost", NAN)};
    return i < BASE_CHANGE_COUNT && isfinite(out->training_cost) &&
           read_text(j, "name", out->name, sizeof out->name) &&
           read_text(j, "shown", out->shown, sizeof out->shown) &&
           read_text(j, "method", out->method, sizeof out->method) &&
           read_flag(j, "mergeable", &out->mergeable) &&
           read_flag(j, "quantisable", &out->quantisable) &&
           read_flag(j, "quantised", &out->quantised) &&
           read_flag(j, "virtual_tokens", &out->virtual_tokens);
}

const struct method_facts *method_facts_find(const struct method_facts *list,
                                             size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(list[i].name, name))
            return &list[i];
    return NULL;
}
