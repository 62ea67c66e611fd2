/* Fuzzes both readers of configuration files. The first byte picks the parser. Whatever
 * is accepted must keep the promised limits, have places, and write and read back
 * equal. */
#include "lib/config/conf.h"
#include "lib/json.h"
#include <stdlib.h>
#include <string.h>

static size_t walk(const json_t *v, int depth)
{
    size_t n = 1;
    if (depth > 32)
        abort();
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++)
        n += walk(json_array_get(v, i), depth + json_is_array(json_array_get(v, i)) +
                                            json_is_object(json_array_get(v, i)));
    for (void *it = json_is_object(v) ? json_object_iter((json_t *)v) : NULL; it;
         it = json_object_iter_next((json_t *)v, it)) {
        const json_t *item = json_object_iter_value(it);
        n += walk(item, depth + json_is_array(item) + json_is_object(item));
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct err err = ERR_INIT;
    struct conf *c;
    int rc = conf_parse((const char *)data + 1, size - 1, "fuzz", data[0] & 1, &c, &err);
    if (rc < 0) {
        if (c || rc != -(int)err.code || !err.msg[0] || strchr(err.msg, '\n'))
            abort();
        return 0;
    }
    json_t *root = conf_root(c);
    if (walk(root, json_is_array(root) + json_is_object(root)) > 110000)
        abort();
    if (!strstr(conf_where(c, "a.b[3].c"), "line "))
        abort();
    struct buf b = BUF_INIT;
    json_write(&b, root, 1);
    json_t *again = json_parse(buf_str(&b), b.len, "again", &err);
    if (!again || !json_equal(root, again))
        abort();
    json_decref(again);
    buf_release(&b);
    conf_free(c);
    return 0;
}
