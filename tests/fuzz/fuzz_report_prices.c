/* Price files of --prices. */
#include "report/machine/catalog.h"
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct catalog c = {0};
    struct err e = ERR_INIT;
    if (catalog_parse_prices((const char *)data, size, "fuzz", &c, &e) == 0)
        for (size_t i = 0; i < c.price_count; i++)
            (void)catalog_range(&c, c.prices[i].gpu);
    catalog_release(&c);
    return 0;
}
