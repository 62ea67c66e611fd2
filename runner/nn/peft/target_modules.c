/* runner/nn/peft/target_modules.c - which linear layers a trial targets, by peft's rules
 * (tuners_utils.check_target_module_exists).
 *
 * A string is a regular expression that must match the whole path; a list holds exact
 * names or suffixes behind a dot; `all-linear` is every linear layer but the head.
 * exclude_modules goes first, modules that train whole (modules_to_save) are never
 * targets, layers_to_transform narrows a list. Where peft is silent about an entry that
 * hits nothing, this is an error with the nearest name. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/regex.h"
#include "lib/str.h"
#include "runner/nn/arch/arch.h"
#include "runner/nn/peft/method.h"
#include <stdlib.h>
#include <string.h>

enum { MANY_TARGETS = 20 }; /* peft: MIN_TARGET_MODULES_FOR_OPTIMIZATION */

static bool is_name(const char *path, const char *entry)
{
    const size_t n = strlen(path), m = strlen(entry);
    return n >= m && !strcmp(path + n - m, entry) && (n == m || path[n - m - 1] == '.');
}

/* The last parts of all paths, for suggestions. */
static const char *nearest_path(const char *const *paths, size_t count, const char *entry)
{
    const char **names = xcalloc(2 * count + 1, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const char *dot = strrchr(paths[i], '.');
        names[n++] = dot ? dot + 1 : paths[i];
        if (strchr(entry, '.'))
            names[n++] = paths[i];
    }
    const char *near = str_nearest(entry, names, n);
    free(names);
    return near;
}

static int no_hit(const char *const *paths, size_t count, const char *what,
                  const char *key, const char *entry, struct err *err)
{
    const char *near = nearest_path(paths, count, entry);
    return err_set(err, ERR_CONFIG, "%s: '%s' matches no %s of the model%s%s%s", key,
                   entry, what, near ? " (did you mean '" : "", near ? near : "",
                   near ? "'?)" : "");
}

int targets_match(const char *const *paths, size_t count, const char *what,
                  const char *key, const json_t *value, bool *hit, struct err *err)
{
    if (json_is_string(value)) {
        struct regex *r;
        size_t hits = 0;
        int rc = regex_new(json_string_value(value), &r, err);
        if (rc < 0)
            return err_context(err, "%s: ", key);
        for (size_t i = 0; i < count && rc >= 0; i++)
            if ((rc = regex_fullmatch(r, paths[i], err)) > 0 || hit[i])
                hits += hit[i] = true;
        regex_free(r);
        if (rc < 0)
            return err_context(err, "%s: ", key);
        return hits ? 0 : no_hit(paths, count, what, key, json_string_value(value), err);
    }
    for (size_t k = 0; k < json_array_size(value); k++) {
        const char *entry = json_string_value(json_array_get(value, k));
        size_t hits = 0;
        for (size_t i = 0; i < count; i++)
            if (is_name(paths[i], entry)) {
                hit[i] = true;
                hits++;
            }
        if (!hits)
            return no_hit(paths, count, what, key, entry, err);
    }
    return 0;
}

static int match(const struct net *net, const char *key, const json_t *value, bool *hit,
                 struct err *err)
{
    const char **paths = xcalloc(net->sites.count + 1, sizeof *paths);
    for (size_t i = 0; i < net->sites.count; i++)
        paths[i] = net->sites.items[i].path;
    int rc = targets_match(paths, net->sites.count, "linear layer", key, value, hit, err);
    free(paths);
    return rc;
}

static const struct {
    enum target_map map;
    const char *model_type;
    unsigned roles;
} defaults[] = {
#define R(role)                         1u << ROLE_##role
#define TARGETS(map, model_type, roles) {MAP_##map, model_type, roles},
#include "runner/nn/peft/targets.def"
#undef TARGETS
#undef R
};

bool targets_is_default(const struct net *net, enum target_map map,
                        const struct linear_site *site)
{
    size_t i = 0;
    while (defaults[i].map != map ||
           (defaults[i].model_type &&
            !str_eq(defaults[i].model_type, arch_text_type(net->arch))))
        i++;
    return defaults[i].roles >> site->role & 1;
}

/* Whether a site is a target: one of the map's defaults, or (no map) chosen. */
static bool is_target(const struct net *net, const enum target_map *map,
                      const struct linear_site *s)
{
    return map ? targets_is_default(net, *map, s) : s->rank != 0;
}

/* Does a layer that is no target, and no head, end with the name? */
static bool hits_others(const struct net *net, const enum target_map *map,
                        const char *name)
{
    for (size_t i = 0; i < net->sites.count; i++) {
        const struct linear_site *s = &net->sites.items[i];
        if (is_name(s->path, name) && !role_is_head(s->role) && !is_target(net, map, s))
            return true;
    }
    return false;
}

/* The shortest end of the path that names targets only. */
static const char *short_name(const struct net *net, const enum target_map *map,
                              const char *path)
{
    const char *name = path + strlen(path);
    do
        for (name--; name > path && name[-1] != '.';)
            name--;
    while (name > path && hits_others(net, map, name));
    return name;
}

/* Of all targets, each once. */
static json_t *short_names(const struct net *net, const enum target_map *map)
{
    json_t *list = json_array();
    for (size_t i = 0; i < net->sites.count; i++) {
        if (!is_target(net, map, &net->sites.items[i]))
            continue;
        const char *name = short_name(net, map, net->sites.items[i].path);
        bool known = false;
        for (size_t k = 0; k < json_array_size(list); k++)
            known |= str_eq(json_string_value(json_array_get(list, k)), name);
        if (!known)
            json_array_append_new(list, json_string(name));
    }
    return list;
}

json_t *targets_default(const struct net *net, enum target_map map)
{
    return short_names(net, &map);
}

json_t *targets_chosen(const struct net *net)
{
    json_t *paths = json_array();
    for (size_t i = 0; i < net->sites.count; i++)
        if (net->sites.items[i].rank)
            json_array_append_new(paths, json_string(net->sites.items[i].path));
    if (json_array_size(paths) < MANY_TARGETS || net->arch->text_root)
        return paths;
    json_decref(paths);
    return short_names(net, NULL);
}

static int match_targets(const struct net *net, bool *hit, struct err *err)
{
    const json_t *value = net->trial->target_modules;
    if (json_is_string(value) && !strcasecmp(json_string_value(value), "all-linear")) {
        for (size_t i = 0; i < net->sites.count; i++)
            hit[i] = !role_is_head(net->sites.items[i].role);
        return 0;
    }
    if (value)
        return match(net, "target_modules", value, hit, err);
    for (size_t i = 0; i < net->sites.count; i++)
        hit[i] = targets_is_default(net, net->method->targets, &net->sites.items[i]);
    return 0;
}

static bool layer_listed(const json_t *layers, int layer)
{
    if (json_is_integer(layers))
        return layer == json_integer_value(layers);
    for (size_t i = 0; i < json_array_size(layers); i++)
        if (layer == json_integer_value(json_array_get(layers, i)))
            return true;
    return false;
}

static int narrow_to_layers(const struct net *net, bool *hit, struct err *err)
{
    const json_t *layers = net->trial->layers_to_transform;
    if (!layers)
        return 0;
    if (json_is_string(net->trial->target_modules))
        return err_set(err, ERR_CONFIG,
                       "layers_to_transform needs target_modules as a list of names, not "
                       "a regular expression");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_int_t l = json_integer_value(json_array_get(layers, i));
        if (l < 0 || l >= net->shape.layers)
            return err_set(err, ERR_CONFIG,
                           "layers_to_transform: the model has layers 0..%d, got %lld",
                           net->shape.layers - 1, (long long)l);
    }
    for (size_t i = 0; i < net->sites.count; i++)
        hit[i] &= layer_listed(layers, net->sites.items[i].layer);
    return 0;
}

static bool trains_whole(const struct net *net, const char *path)
{
    const json_t *saved = net->trial->modules_to_save;
    if (task_saves(net->goal.task, path))
        return true;
    const char *one = json_string_value(saved);
    if (one)
        return net_in_modules(path, &one, 1);
    for (size_t i = 0; i < json_array_size(saved); i++) {
        one = json_string_value(json_array_get(saved, i));
        if (net_in_modules(path, &one, 1))
            return true;
    }
    return false;
}

int targets_choose(struct net *net, struct err *err)
{
    bool *hit = xcalloc(net->sites.count, sizeof *hit),
         *out = xcalloc(net->sites.count, sizeof *out);
    const json_t *exclude = net->trial->exclude_modules;
    size_t chosen = 0;
    int rc = match_targets(net, hit, err);
    if (!rc && exclude)
        rc = match(net, "exclude_modules", exclude, out, err);
    if (!rc)
        rc = narrow_to_layers(net, hit, err);
    for (size_t i = 0; !rc && i < net->sites.count; i++)
        if (hit[i] && !out[i] && !trains_whole(net, net->sites.items[i].path)) {
            net->sites.items[i].rank = -1;
            chosen++;
        }
    if (!rc && !chosen)
        rc = err_set(err, ERR_CONFIG,
                     "target_modules: nothing is left to adapt after exclude_modules, "
                     "modules_to_save and "
                     "layers_to_transform");
    free(hit);
    free(out);
    return rc;
}

/* peft copies what it trains whole: of a table that is the head too one of the two would
 * stay as it was, and whoever loads the folder would compute something else. */
static int check_tied(const struct net *net, struct err *err)
{
    for (size_t i = 0; i < net->sites.count; i++) {
        const struct linear_site *s = &net->sites.items[i];
        const struct param *p = s->tied ? params_find(&net->params, s->tied) : NULL;
        if (p && p->trainable && net->trial->modules_to_save)
            return err_set(err, ERR_CONFIG,
                           "modules_to_save: '%s' is the weight of '%s' too "
                           "(tie_word_embeddings), which adapter folders cannot say",
                           s->tied, s->path);
    }
    return 0;
}

int targets_train_saved(struct net *net, struct err *err)
{
    json_t *saved = net->trial->modules_to_save;
    json_t *list = json_is_string(saved) ? json_pack("[O]", saved) : json_incref(saved);
    int rc = 0;
    for (size_t i = 0; i < json_array_size(list) && !rc; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!net_train_modules(net, name) && !task_saves(net->goal.task, name))
            rc = err_set(err, ERR_CONFIG,
                         "modules_to_save: '%s' matches no module of the model", name);
    }
    json_decref(list);
    task_train_head(net);
    return rc ? rc : check_tied(net, err);
}
