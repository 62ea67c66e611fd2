/* Fuzzes TensorBoard's event files; see foreign_fuzz.h. */
#include "tests/fuzz/foreign_fuzz.h"
#include "tracker/foreign/foreign.h"

static void put_record(struct buf *file, const uint8_t *data, size_t size)
{
    const size_t at = file->len;
    fuzz_little(file, size, 8);
    fuzz_little(file, crc32_masked(crc32_castagnoli(0, buf_str(file) + at, 8)), 4);
    buf_add(file, data, size);
    fuzz_little(file, crc32_masked(crc32_castagnoli(0, data, size)), 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf file = BUF_INIT;
    if (size < 1)
        return 0;
    fuzz_make_file(&file, data, size, put_record);
    fuzz_read(&file, "tensorboard", "e.tfevents.f", false);
    buf_release(&file);
    return 0;
}
