/* runner/convert/merged_trial.c - see merged_trial.h. */
#include "runner/convert/merged_trial.h"
#include "runner/convert/adapter_net.h"
#include "runner/nn/peft/method.h"

static int trial_of_adapter(const struct convert *c, json_t **resolved, struct err *err)
{
    struct adapter_net a;
    const int rc = adapter_net_open(&a, c->path, c->model, err);
    *resolved = rc ? NULL : json_incref(a.resolved);
    adapter_net_release(&a);
    return rc;
}

int merged_trial(const struct convert *c, json_t **resolved, struct err *err)
{
    *resolved = NULL;
    if (c->kind == FROM_GGUF_LORA)
        return err_set(err, ERR_CONFIG,
                       "'%s' is an adapter in a GGUF file: make a folder of it first "
                       "(--to peft), which is merged then",
                       c->path);
    if (c->kind == FROM_ADAPTER)
        return trial_of_adapter(c, resolved, err);
    json_t *given = json_pack("{s:s, s:s, s:s}", "model", c->path, "method",
                              method_full.name, "task", "CAUSAL_LM");
    const int rc = trial_resolve_use(given, resolved, err);
    json_decref(given);
    return rc;
}

const char *merged_adapter(const struct convert *c)
{
    return c->kind == FROM_ADAPTER ? c->path : NULL;
}
