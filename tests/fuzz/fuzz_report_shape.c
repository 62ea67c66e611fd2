/* config.json of any model: what has a shape has finite positive numbers. */
#include "lib/json.h"
#include "report/machine/estimate.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model_shape m;
    struct estimate e;
    struct setup s = {.method = "qlora",
                      .rank = 8,
                      .reduction_factor = 16,
                      .base_bytes = 2,
                      .batch = 1,
                      .accumulation = 1,
                      .seq_len = 128};
    json_t *config = json_parse((const char *)data, size, "fuzz", NULL);
    if (config && shape_from_config(config, "fuzz", &m, NULL) == 0) {
        estimate(&m, &s, STACK_PEFT, &e);
        if (!(m.parameters > 0) || !isfinite(e.peak) || !(e.peak > 0))
            abort();
    }
    json_decref(config);
    return 0;
}
