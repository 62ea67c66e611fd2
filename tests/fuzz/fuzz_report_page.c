/* Pages of report verify. */
#include "lib/mem.h"
#include "report/page/verify.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct verification v;
    char *page = xstrndup((const char *)data, size);
    (void)verify_page(page, size, NULL, &v, &e);
    verification_release(&v);
    free(page);
    return 0;
}
