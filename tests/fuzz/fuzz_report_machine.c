/* Names of GPUs as users write them: what is taken is of the catalogue, and so many. */
#include "report/machine/machine.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct catalog catalog;
    struct machine m;
    struct err e = ERR_INIT;
    char *text = malloc(size + 1);
    if (!text || (!catalog.gpus && catalog_load(NULL, NULL, &catalog, NULL) < 0))
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    int rc = machine_parse(&catalog, text, &m, &e);
    if (rc == 0 ? !m.gpu || m.count < 1 || m.count > MACHINE_GPUS_MAX : !e.msg[0])
        abort();
    free(text);
    return 0;
}
