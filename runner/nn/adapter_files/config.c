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
    json_object_set_new(c, "modules_to_save", saved_modules(net));
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
    if (given && !all)
        return json_incref(given);
    if (!all)
        return targets_default(net, net->method->targets);
    json_t *list = json_array();
    for (size_t i = 0; i < net->sites.count; i++)
        if (net->sites.items[i].rank)
            json_array_append_new(list, json_string(net->sites.items[i].path));
    return list;
}

/* A number or flag of the folder that the trial contradicts. */
static int check_key(const struct net *net, const json_t *theirs,
                     const struct config_key *key, struct err *err)
{
    const json_t *a = json_object_get(theirs, key->config),
                 *b = json_object_get(net->trial->json, key->trial);
    if (json_is_number(a) && json_is_number(b) &&
        json_number_value(a) != json_number_value(b))
        return err_set(err, ERR_CONFIG,
                       "adapter_config.json: %s is %g, the trial says %g", key->config,
                       json_number_value(a), json_number_value(b));
    if (json_is_boolean(a) && json_is_boolean(b) && json_is_true(a) != json_is_true(b))
        return err_set(err, ERR_CONFIG,
                       "adapter_config.json: %s is %s, the trial says %s", key->config,
                       json_is_true(a) ? "true" : "false",
                       json_is_true(b) ? "true" : "false");
    return 0;
}

int config_flag(const json_t *theirs, const char *key, bool ours, struct err *err)
{
    const bool flag = json_get_bool(theirs, key, 0) == 1;
    return flag == ours ? 0
                        : err_set(err, ERR_CONFIG,
                                  "adapter_config.json: %s is %s, the trial says %s", key,
                                  flag ? "true" : "false", ours ? "true" : "false");
}

int config_read(const char *dir, const char *peft_type, json_t **out, struct err *err)
{
    char *path = fs_join(dir, "adapter_config.json");
    *out = json_read_file(path, err);
    free(path);
    if (!*out)
        return err_code(err);
    const char *type = json_get_str(*out, "peft_type", "");
    return str_eq(type, peft_type)
               ? 0
               : err_set(err, ERR_CONFIG,
                         "adapter_config.json: peft_type is '%s', the trial's method "
                         "needs '%s'",
                         type, peft_type);
}

int config_check(const struct net *net, const char *dir, const struct config_key *keys,
                 size_t count, struct err *err)
{
    json_t *c = NULL;
    int rc = config_read(dir, net->method->peft_type, &c, err);
    for (size_t i = 0; i < count && !rc; i++)
        rc = check_key(net, c, &keys[i], err);
    json_decref(c);
    return rc;
}

void peft_tensor_name(const struct net *net, const struct param *p, struct buf *out)
{
    (void)net;
    buf_printf(out, "base_model.model.%s", p->name);
}
