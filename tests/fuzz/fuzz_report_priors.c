/* Files of priors: what parses is whole, and can be asked. */
#include "report/advise/priors.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct priors p;
    struct err e = ERR_INIT;
    if (priors_parse((const char *)data, size, "fuzz", &p, &e) < 0)
        return 0;
    for (size_t i = 0; i < p.claim_count; i++) {
        const struct prior *c = &p.claims[i];
        if (!c->id[0] || !c->claim[0] || !c->better[0] || !c->source[0])
            abort();
        (void)prior_in_scope(c, "seq-cls", 400);
        (void)prior_is_better(c, "lora", NULL);
        (void)prior_judge(c, -1, 1, 0.1);
    }
    priors_release(&p);
    return 0;
}
