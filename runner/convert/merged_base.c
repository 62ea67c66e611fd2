/* runner/convert/merged_base.c - see merged_base.h. */
#include "runner/convert/merged_base.h"
#include "lib/json.h"
#include "runner/convert/adapter_net.h"
#include "runner/nn/adapter_files/trial_of.h"

int merged_base_write(const struct convert *c, const char *dir, char **base,
                      struct merge_report *report, struct err *err)
{
    struct adapter_net a;
    int rc = adapter_net_open(&a, c->path, c->model, err);
    *base = NULL;
    if (!rc)
        rc = hf_model_find(a.trial.model, base, err);
    if (!rc)
        rc = merge_folder(a.resolved, ".", c->path, dir, c->overwrite, report, err);
    adapter_net_release(&a);
    return rc;
}
