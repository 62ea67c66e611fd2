/* What each row got, as a program of the user's writes it: refused with a line, or a file
 * that the report reads back, with the same identity when it is read again. */
#include "sweep/launch/user_rows.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct row_results r, kept;
    struct buf bytes = BUF_INIT;
    if (user_rows_read("rows_test.jsonl", (const char *)data, size, &r, &e) < 0) {
        if (!e.msg[0])
            abort();
        return 0;
    }
    row_results_write(&r, &bytes);
    if (row_results_read(buf_str(&bytes), bytes.len, &kept, &e) < 0 ||
        kept.count != r.count || strcmp(kept.rows_sha256, r.rows_sha256) != 0)
        abort();
    row_results_release(&kept);
    row_results_release(&r);
    buf_release(&bytes);
    return 0;
}
