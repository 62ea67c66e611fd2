/* Fuzzes Trackio's SQLite file; see foreign_fuzz.h. The input is the file as it stands:
 * from the seed corpus the fuzzer changes cells, lengths and the schema. */
#include "tests/fuzz/foreign_fuzz.h"
#include "tracker/foreign/foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf file = BUF_INIT;
    buf_add(&file, data, size);
    fuzz_read(&file, "trackio", "desk.db", true);
    buf_release(&file);
    return 0;
}
