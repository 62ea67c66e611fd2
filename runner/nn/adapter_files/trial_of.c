/* runner/nn/adapter_files/trial_of.c - see trial_of.h. */
#include "runner/nn/adapter_files/trial_of.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/peft/lora.h"
#include <stdlib.h>
#include <string.h>

#define CONFIG_FILE "adapter_config.json"

bool adapter_is_folder(const char *dir)
{
    char *path = fs_join(dir, CONFIG_FILE);
    const bool there = fs_exists(path);
    free(path);
    return there;
}

/* peft's name of an option is ours or one of its aliases. */
static json_t *find_value(const json_t *config, const struct opt_def *def)
{
    json_t *v = json_object_get(config, def->key);
    for (const char *a = def->aliases; a && !v;
         a = strchr(a, '|') ? strchr(a, '|') + 1 : NULL) {
        char *alias = xstrndup(a, strcspn(a, "|"));
        v = json_object_get(config, alias);
        free(alias);
    }
    return v;
}

static bool is_set(const json_t *v)
{
    return v && !json_is_null(v) && !(json_is_array(v) && !json_array_size(v)) &&
           !(json_is_object(v) && !json_object_size(v));
}

/* How an adapter was started is of no account once it is there; but for a start that is
 * still taken out of the base. */
static bool only_starts(const char *key, const json_t *v)
{
    return str_eq(key, "prompt_tuning_init") ||
           (str_eq(key, "init_lora_weights") && !lora_takes_out(v));
}

/* Without the modules that the task saves anyway. */
static json_t *own_modules(const json_t *list, const struct task *task)
{
    json_t *out = json_array(), *v;
    size_t i;
    json_array_foreach((json_t *)list, i, v)
    {
        const char *const *own = task ? task->kind->saved_modules : NULL;
        while (own && *own && !str_eq(*own, json_string_value(v)))
            own++;
        if (!own || !*own)
            json_array_append(out, v);
    }
    return out;
}

static void take_options(const json_t *config, const struct method *m, json_t *given)
{
    const struct task *task = task_find(json_get_str(config, "task_type", ""), NULL);
    for (size_t i = 0; i < trial_options.count; i++) {
        const struct opt_def *def = &trial_options.rows[i];
        json_t *v = find_value(config, def);
        if (!(def->flags & OPT_OF_METHOD) || !method_reads(m, def->key) || !is_set(v) ||
            only_starts(def->key, v))
            continue;
        json_t *own =
            str_eq(def->key, "modules_to_save") ? own_modules(v, task) : json_incref(v);
        if (is_set(own))
            json_object_set(given, def->key, own);
        json_decref(own);
    }
}

/* Heads and biases alone are saved as a LoRA that targets nothing. */
static const struct method *method_of_config(const json_t *config, struct err *err)
{
    const char *type = json_get_str(config, "peft_type", "");
    const char *target = json_get_str(config, "target_modules", "");
    const bool biases = !str_eq(json_get_str(config, "bias", "none"), "none");
    const struct method *m = !str_eq(target, "dummy-target-modules")
                                 ? method_of_peft(type)
                             : biases ? &method_bitfit
                                      : &method_head;
    if (!m)
        err_set(err, ERR_CONFIG, CONFIG_FILE ": peft_type '%.50s' is no method here",
                type);
    return m;
}

static int take_peft(const json_t *config, json_t *given, struct err *err)
{
    const struct method *m = method_of_config(config, err);
    if (!m)
        return err_code(err);
    json_object_set_new(given, "method", json_string(m->name));
    if (is_set(json_object_get(config, "task_type")))
        json_object_set(given, "task", json_object_get(config, "task_type"));
    take_options(config, m, given);
    return 0;
}

/* The adapters library: bottlenecks, which `config` describes. */
static int take_bottleneck(const json_t *config, json_t *given, struct err *err)
{
    static const char *const keys[] = {"reduction_factor", "non_linearity"};
    const json_t *inner = json_object_get(config, "config");
    const char *class = json_get_str(config, "model_class", "");
    if (!json_object_get(inner, "output_adapter"))
        return err_set(err, ERR_CONFIG,
                       CONFIG_FILE ": 'config' describes no bottleneck adapter, and of "
                                   "the adapters library no other method is read");
    const bool both = json_is_true(json_object_get(inner, "mh_adapter"));
    const bool parallel = json_is_true(json_object_get(inner, "is_parallel"));
    json_object_set_new(given, "method", json_string(method_adapter.name));
    json_object_set_new(given, "adapter_type",
                        json_string(parallel ? "parallel"
                                    : both   ? "houlsby"
                                             : "pfeiffer"));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (is_set(json_object_get(inner, keys[i])))
            json_object_set(given, keys[i], json_object_get(inner, keys[i]));
    for (size_t i = 0; task_at(i); i++)
        if (str_has_suffix(class, task_at(i)->kind->class_suffix))
            json_object_set_new(given, "task", json_string(task_at(i)->name));
    return 0;
}

static int take_model(const json_t *config, const char *model, json_t *given,
                      struct err *err)
{
    if (!model)
        model = json_get_str(config, "base_model_name_or_path",
                             json_get_str(config, "model_name", NULL));
    if (!model || !*model)
        return err_set(err, ERR_USAGE,
                       CONFIG_FILE " names no base model: say --model DIR");
    json_object_set_new(given, "model", json_string(model));
    return 0;
}

int adapter_trial(const char *dir, const char *model, json_t **given, struct err *err)
{
    char *path = fs_join(dir, CONFIG_FILE);
    json_t *config = json_read_file(path, err), *out = json_object();
    int rc = config ? 0 : err_code(err);
    free(path);
    if (!rc && json_is_object(json_object_get(config, "config")))
        rc = take_bottleneck(config, out, err);
    else if (!rc)
        rc = take_peft(config, out, err);
    if (!rc)
        rc = take_model(config, model, out, err);
    json_decref(config);
    *given = rc ? NULL : out;
    if (rc)
        json_decref(out);
    return rc ? err_context(err, "adapter folder '%s': ", dir) : 0;
}
