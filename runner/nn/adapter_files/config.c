/* runner/nn/adapter_files/config.c - see formats.h. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/adapter_files/formats.h"
#include "runner/nn/arch/arch.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_FILE "adapter_config.json"

int config_write(const char *dir, const char *file, json_t *value, struct err *err)
{
    char *path = fs_join(dir, file);
    int rc = json_write_file(path, value, 2, err);
    free(path);
    json_decref(value);
    return rc;
}

/* What the user asked for and what peft adds for the task. */
static json_t *saved_modules(const struct net *net)
{
    json_t *list = json_array(), *given = net->trial->modules_to_save;
    if (json_is_string(given))
        json_array_append(list, given);
    if (json_is_array(given))
        json_array_extend(list, given);
    const char *const *own = net->goal.task->kind->saved_modules;
    for (; *own; own++) {
        bool known = false;
        for (size_t k = 0; k < json_array_size(list); k++)
            known |= str_eq(json_string_value(json_array_get(list, k)), *own);
        if (!known)
            json_array_append_new(list, json_string(*own));
    }
    return list;
}

json_t *config_new(const struct net *net, const char *text)
{
    json_t *c = json_parse(text, strlen(text), "template", NULL);
    if (!c)
        c = json_object();
    json_object_set_new(c, "base_model_name_or_path", json_string(net->trial->model));
    json_t *saved = saved_modules(net);
    if (!json_array_size(saved)) {
        json_decref(saved);
        saved = json_null();
    }
    json_object_set_new(c, "modules_to_save", saved);
    json_object_set_new(c, "task_type", json_string(net->goal.task->peft_type));
    return c;
}

void config_copy(const struct net *net, json_t *config, const struct config_key *keys,
                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_t *v = json_object_get(net->trial->json, keys[i].trial);
        if (v && !json_is_null(v))
            json_object_set(config, keys[i].config, v);
    }
}

json_t *config_number(double x)
{
    return x == (double)(int64_t)x ? json_integer((int64_t)x) : json_real(x);
}

json_t *config_label_ids(const char *const *names, int32_t count, bool id_to_label)
{
    json_t *map = json_object();
    for (int32_t i = 0; i < count; i++) {
        char id[16], plain[32];
        snprintf(id, sizeof id, "%d", i);
        snprintf(plain, sizeof plain, "LABEL_%d", i);
        const char *label = names ? names[i] : plain;
        if (id_to_label)
            json_object_set_new(map, id, json_string(label));
        else
            json_object_set_new(map, label, json_integer(i));
    }
    return map;
}

json_t *config_targets(const struct net *net)
{
    json_t *given = net->trial->target_modules;
    const bool all =
        json_is_string(given) && !strcasecmp(json_string_value(given), "all-linear");
    if (net->arch->text_root) /* names would hit the part for pictures as well */
        return targets_chosen(net);
    if (given && !all)
        return json_incref(given);
    if (!all)
        return targets_default(net, net->method->targets);
    return targets_chosen(net);
}

/* --- a folder's configuration against the trial's --- */

/* null, false, 0, "", [] and {}: what libraries write for "not used". */
static bool is_empty(const json_t *v)
{
    return !v || json_is_null(v) || json_is_false(v) ||
           (json_is_number(v) && json_number_value(v) == 0) ||
           (json_is_string(v) && json_string_length(v) == 0) ||
           (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0);
}

static bool is_same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        const double x = json_number_value(a), y = json_number_value(b);
        return fabs(x - y) <= 1e-9 * fabs(y);
    }
    return (is_empty(a) && is_empty(b)) || json_equal(a, b);
}

static char *shown(const json_t *v)
{
    char *text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char *out = xasprintf("%.80s%s", text ? text : "not given",
                          text && strlen(text) > 80 ? "..." : "");
    free(text);
    return out;
}

int config_differs(const char *file, const char *key, const json_t *theirs,
                   const json_t *ours, struct err *err)
{
    char *a = shown(theirs), *b = shown(ours);
    int rc = ours ? err_set(err, ERR_CONFIG, "%s: %s is %s, the trial says %s", file, key,
                            a, b)
                  : err_set(err, ERR_CONFIG, "%s: %s is %s, which is not supported", file,
                            key, a);
    free(a);
    free(b);
    return rc;
}

int config_compare(const char *file, const json_t *theirs, const json_t *ours,
                   const json_t *defaults, const char *free_keys, struct err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)theirs, key, v)
    {
        const json_t *own = json_object_get(ours, key);
        if (!str_in_list(key, free_keys, '|') && !is_same(v, own))
            return config_differs(file, key, v, own, err);
    }
    json_object_foreach((json_t *)ours, key, v)
    {
        const json_t *usual = json_object_get(defaults, key);
        if (!json_object_get(theirs, key) && !str_in_list(key, free_keys, '|') &&
            !is_same(usual, v))
            return config_differs(file, key, usual, v, err);
    }
    return 0;
}

/* peft's word for adapted weights that lie in x out. */
static bool adapts_transposed(const struct net *net)
{
    for (size_t i = 0; i < net->sites.count; i++)
        if (net->sites.items[i].rank &&
            net_site_param(net, &net->sites.items[i], "weight")->transposed)
            return true;
    return false;
}

json_t *config_make(const struct net *net, enum config_use use)
{
    const struct adapter_files *f = net->method->files;
    json_t *c = config_new(net, f->defaults);
    if (f->put_config)
        f->put_config(net, c, use);
    if (json_object_get(c, "fan_in_fan_out") && adapts_transposed(net))
        json_object_set_new(c, "fan_in_fan_out", json_true());
    return c;
}

/* A folder without a task is any task's. */
static int check_names(const json_t *theirs, const json_t *ours, struct err *err)
{
    static const char *const keys[] = {"peft_type", "task_type"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const json_t *a = json_object_get(theirs, keys[i]);
        const char *b = json_get_str(ours, keys[i], "");
        if (i == 0 && !str_eq(json_string_value(a), b))
            return err_set(err, ERR_CONFIG,
                           CONFIG_FILE ": peft_type is '%s', the trial's method needs "
                                       "'%s'",
                           json_is_string(a) ? json_string_value(a) : "", b);
        if (i && !is_empty(a) && !str_eq(json_string_value(a), b))
            return config_differs(CONFIG_FILE, keys[i], a, json_object_get(ours, keys[i]),
                                  err);
    }
    return 0;
}

static json_t *read_config(const char *dir, struct err *err)
{
    char *path = fs_join(dir, CONFIG_FILE);
    json_t *c = json_read_file(path, err);
    if (c && !json_is_object(c)) {
        json_decref(c);
        c = NULL;
        err_set(err, ERR_PARSE, "'%s': an object expected", path);
    }
    free(path);
    return c;
}

int config_check(const struct net *net, const char *dir, struct err *err)
{
    const struct adapter_files *f = net->method->files;
    if (!f->defaults)
        return f->check_config ? f->check_config(net, dir, NULL, err) : 0;
    json_t *theirs = read_config(dir, err);
    if (!theirs)
        return err_code(err);
    json_t *ours = config_make(net, CONFIG_TO_READ),
           *usual = json_parse(f->defaults, strlen(f->defaults), "template", NULL);
    char *free_keys = xasprintf("%s|peft_type|task_type", f->free_keys);
    int rc = check_names(theirs, ours, err);
    if (!rc && f->check_config)
        rc = f->check_config(net, dir, theirs, err);
    if (!rc)
        rc = config_compare(CONFIG_FILE, theirs, ours, usual, free_keys, err);
    free(free_keys);
    json_decref(usual);
    json_decref(ours);
    json_decref(theirs);
    return rc;
}

int config_explain(const struct net *net, const char *dir, struct err *err)
{
    static const char *const keys[] = {"target_modules",      "exclude_modules",
                                       "modules_to_save",     "layers_to_transform",
                                       "feedforward_modules", "r",
                                       "rank_pattern"};
    if (!net->method->files->defaults)
        return err_code(err);
    json_t *theirs = read_config(dir, NULL), *ours = config_make(net, CONFIG_TO_READ);
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < ARRAY_LEN(keys) && theirs; i++) {
        const json_t *a = json_object_get(theirs, keys[i]),
                     *own = json_object_get(ours, keys[i]);
        if (is_same(a, own) || str_eq(keys[i], "modules_to_save"))
            continue;
        char *x = shown(a), *y = shown(own);
        buf_printf(&b, "%s%s is %s (the trial: %s)", b.len ? ", " : "", keys[i], x, y);
        free(x);
        free(y);
    }
    if (b.len) {
        struct err before = *err;
        err_clear(err);
        err_set(err, before.code, "%s; in " CONFIG_FILE " %s", before.msg, buf_str(&b));
    }
    buf_release(&b);
    json_decref(theirs);
    json_decref(ours);
    return err_code(err);
}

void peft_tensor_name(const struct net *net, const struct param *p, struct buf *out)
{
    (void)net;
    buf_printf(out, "base_model.model.%s", p->name);
}
