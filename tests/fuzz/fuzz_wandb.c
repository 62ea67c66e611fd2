/* Fuzzes W&B's offline files; see foreign_fuzz.h. */
#include "tests/fuzz/foreign_fuzz.h"
#include "tracker/foreign/foreign.h"

/* A record as chunks of a log with blocks of 32 KiB. */
static void put_record(struct buf *file, const uint8_t *data, size_t size)
{
    enum { BLOCK = 32768, HEAD = 7, FULL = 1 };
    bool first = true, last = false;
    while (!last) {
        size_t left = BLOCK - file->len % BLOCK;
        if (left < HEAD) {
            fuzz_little(file, 0, (int)left);
            left = BLOCK;
        }
        const size_t n = size < left - HEAD ? size : left - HEAD;
        last = n == size;
        const uint8_t type = first && last ? FULL : first ? 2 : last ? 4 : 3;
        fuzz_little(file, crc32_ieee(crc32_ieee(0, &type, 1), data, n), 4);
        fuzz_little(file, n, 2);
        fuzz_little(file, type, 1);
        buf_add(file, data, n);
        data += n;
        size -= n;
        first = false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf file = BUF_INIT;
    if (size < 1)
        return 0;
    buf_add(&file, ":W&B\xe1\xbe\0", 7);
    fuzz_make_file(&file, data, size, put_record);
    fuzz_read(&file, "wandb", "run-f.wandb", data[0] == 0);
    buf_release(&file);
    return 0;
}
