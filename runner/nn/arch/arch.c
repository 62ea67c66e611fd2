/* runner/nn/arch/arch.c - the registry of model families. */
#include "runner/nn/arch/arch.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "runner/nn/arch/model_config.h"
#include <string.h>

#define ARCH(name) extern const struct arch arch_##name;
#include "runner/nn/arch/arch.def"
#undef ARCH

static const struct arch *const rows[] = {
#define ARCH(name) &arch_##name,
#include "runner/nn/arch/arch.def"
#undef ARCH
};

const struct arch *arch_find(const char *model_type, struct err *err)
{
    struct buf known = BUF_INIT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!strcmp(rows[i]->model_type, model_type))
            return buf_release(&known), rows[i];
        buf_printf(&known, "%s%s", i ? ", " : "", rows[i]->model_type);
    }
    err_set(err, ERR_CONFIG, "model_type '%s' is not supported (known: %s)", model_type,
            buf_str(&known));
    buf_release(&known);
    return NULL;
}

bool arch_takes(const struct arch *arch, const json_t *config)
{
    for (size_t i = 0; arch->unused && arch->unused[i]; i++)
        if (!model_config_is_unused(json_object_get(config, arch->unused[i])))
            return false;
    return true;
}

int32_t arch_first_position(const struct arch *arch, const json_t *config)
{
    const int64_t pad = json_get_int(config, "pad_token_id", 1);
    if (!arch->positions_behind_pad || pad < 0 || pad >= INT32_MAX)
        return 0;
    return (int32_t)pad + 1;
}

int32_t arch_positions(const struct arch *arch, const json_t *config)
{
    return arch->positions
               ? arch->positions(config)
               : (int32_t)json_get_int(config, "max_position_embeddings", 512) -
                     arch_first_position(arch, config);
}

int arch_declare_head(struct net *net, const struct arch_head *head, struct err *err)
{
    return head->declare
               ? head->declare(net, err)
               : err_set(err, ERR_CONFIG,
                         "model folder '%s': task '%s' is not supported for "
                         "model_type '%s'",
                         net->hf->dir, net->goal.task->name, net->arch->model_type);
}
