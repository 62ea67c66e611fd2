/* What each row of a test set got, from a file: refused, or read to the same bytes and to
 * numbers that can be reckoned with. */
#include "tracker/view/row_results.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct row_results r;
    struct buf again = BUF_INIT;
    if (row_results_read(data, size, &r, &e) < 0) {
        if (e.code != ERR_PARSE || !e.msg[0] || r.columns[COLUMN_loss])
            abort();
        return 0;
    }
    const float *loss = r.columns[COLUMN_loss];
    for (size_t i = 0; i < r.count; i++)
        if (!isfinite(loss[i]))
            abort();
    row_results_write(&r, &again);
    if (again.len != size || memcmp(buf_str(&again), data, size) != 0)
        abort();
    buf_release(&again);
    row_results_release(&r);
    return 0;
}
