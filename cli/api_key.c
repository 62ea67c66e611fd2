/* cli/api_key.c - see api_key.h. */
#include "cli/api_key.h"
#include "lib/fs.h"
#include "lib/json.h"
#include <stdlib.h>
#include <string.h>

static void cut_blanks(struct buf *key)
{
    while (key->len && strchr(" \r\n\t", key->data[key->len - 1]))
        key->data[--key->len] = '\0';
}

int api_key_of_file(const char *path, const char *flag, struct buf *key, struct err *err)
{
    const int rc = fs_read(path, 4096, key, err);
    cut_blanks(key);
    return rc < 0 || key->len ? rc
                              : err_set(err, ERR_PARSE, "%s: '%s' is empty", flag, path);
}

int api_key_read(const json_t *values, struct buf *key, struct err *err)
{
    const char *file = json_get_str(values, "api_key_file", NULL),
               *given = getenv("PEFTLAB_API_KEY");
    if (file)
        return api_key_of_file(file, "--api-key-file", key, err);
    buf_str_add(key, given ? given : "");
    cut_blanks(key);
    return 0;
}
