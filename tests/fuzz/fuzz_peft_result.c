/* A result file of peft's method comparison, into a store; then everything is taken back.
 */
#include "cli/store/import_readers.h"
#include "lib/fs.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store *open_once(void)
{
    static struct store *s;
    char path[64];
    if (s)
        return s;
    snprintf(path, sizeof path, "/tmp/peftlab-fuzz-peft-%d.db", (int)getpid());
    if (store_open(path, STORE_CREATE, &s, NULL) < 0)
        abort();
    unlink(path);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct import_wish wish = {.experiment = "fuzz"};
    struct err e = ERR_INIT;
    struct import in;
    char path[64];
    snprintf(path, sizeof path, "/tmp/peftlab-fuzz-peft-%d.json", (int)getpid());
    FILE *f = fopen(path, "w");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    if (import_begin(&in, open_once(), &e) < 0)
        abort();
    const int rc = import_peft_result(&in, path, &wish, &e);
    if (rc < 0 && (e.code == ERR_BUG || !e.msg[0]))
        abort(); /* bad input is never a bug of ours */
    (void)import_end(&in, -1, &e);
    unlink(path);
    return 0;
}
