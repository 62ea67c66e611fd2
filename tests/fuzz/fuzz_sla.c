/* SLA files of report --sla, as YAML and as JSON. */
#include "report/service/sla.h"
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int is_json = 0; is_json <= 1; is_json++) {
        struct sla *s = NULL;
        struct err e = ERR_INIT;
        if (sla_parse((const char *)data, size, "fuzz", is_json, &s, &e) == 0)
            (void)sla_number(s, "latency_p99_ms");
        sla_free(s);
    }
    return 0;
}
