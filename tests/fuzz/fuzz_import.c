/* Objects of `peftlab import`, one JSON line each, into a store; then everything is taken
 * back. */
#include "lib/json.h"
#include "tracker/exchange/exchange.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store *open_once(void)
{
    static struct store *s;
    char path[64];
    if (s)
        return s;
    snprintf(path, sizeof path, "/tmp/peftlab-fuzz-import-%d.db", (int)getpid());
    if (store_open(path, STORE_CREATE, &s, NULL) < 0)
        abort();
    unlink(path);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct import in;
    const char *text = (const char *)data, *end = text + size;
    if (import_begin(&in, open_once(), &e) < 0)
        abort();
    int rc = 0;
    for (size_t line = 1; text < end && rc == 0; line++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t n = newline ? (size_t)(newline - text) : (size_t)(end - text);
        json_t *object = n ? json_parse_line(text, n, "fuzz", line, &e) : NULL;
        rc = object ? import_object(&in, object, &e) : n ? -1 : 0;
        if (rc < 0 && e.code == ERR_BUG)
            abort(); /* bad input is never a bug of ours */
        json_decref(object);
        text += n + 1;
    }
    (void)import_end(&in, -1, &e);
    return 0;
}
