/* cli/api_key.c - see api_key.h. */
#include "cli/api_key.h"
#include "lib/fs.h"
#include "lib/json.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void cut_blanks(struct buf *key)
{
    while (key->len && strchr(" \r\n\t", key->data[key->len - 1]))
        key->data[--key->len] = '\0';
}

static void cut_lines(struct buf *key)
{
    char *end = key->len ? memchr(key->data, '\n', key->len) : NULL;
    if (!end)
        return;
    key->len = (size_t)(end - key->data);
    *end = '\0';
}

/* A NUL would end it earlier than its file says. */
static bool has_control(const struct buf *key)
{
    for (size_t i = 0; i < key->len; i++)
        if ((unsigned char)key->data[i] < ' ' || key->data[i] == 0x7f)
            return true;
    return false;
}

int api_key_of_file(const char *path, const char *flag, struct buf *key, struct err *err)
{
    const int rc = fs_read(path, 4096, key, err);
    cut_lines(key);
    cut_blanks(key);
    if (rc < 0)
        return rc;
    if (!key->len)
        return err_set(err, ERR_PARSE, "%s: '%s' is empty", flag, path);
    return has_control(key)
               ? err_set(err, ERR_PARSE,
                         "%s: '%s' has control characters in its first line; it is to be "
                         "a text",
                         flag, path)
               : 0;
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
