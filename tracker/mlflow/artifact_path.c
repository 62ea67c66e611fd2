/* tracker/mlflow/artifact_path.c - paths from outside; see artifacts.h. */
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/net/url.h"
#include "lib/os/beneath.h"
#include "tracker/mlflow/artifacts.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* So that with the store's own path in front the system takes it as one, and removes and
 * copies it (fs_remove_tree goes 64 folders deep). */
enum { MOST_ROUNDS = 10, MOST_BYTES = 2048, MOST_PARTS = 48 };

/* Undone as often as it changes something; NULL: it never ends, or has a NUL. */
static char *unescaped(const char *sent)
{
    char *text = xstrdup(sent);
    for (int i = 0; i < MOST_ROUNDS; i++) {
        size_t size;
        char *next = url_unescape(text, &size);
        const bool whole = strlen(next) == size, same = whole && !strcmp(next, text);
        free(text);
        text = next;
        if (same)
            return text;
        if (!whole)
            break;
    }
    free(text);
    return NULL;
}

static bool is_plain(const char *text)
{
    const size_t n = strlen(text);
    int32_t code;
    for (size_t at = 0; at < n;) {
        const utf8proc_ssize_t step = utf8proc_iterate(
            (const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(n - at), &code);
        if (step <= 0 || code < ' ' || (code >= 0x7f && code < 0xa0) || code == '#' ||
            code == '\\')
            return false;
        at += (size_t)step;
    }
    return n <= MOST_BYTES && text[0] != '/' &&
           !(isalpha((unsigned char)text[0]) && text[1] == ':');
}

/* Without empty components and "."; NULL: it has too many. */
static char *tidied(const char *text)
{
    struct buf out = BUF_INIT;
    int parts = 0;
    while (*text) {
        const size_t n = strcspn(text, "/");
        if (n && !(n == 1 && text[0] == '.')) {
            buf_str_add(&out, out.len ? "/" : "");
            buf_add(&out, text, n);
            parts++;
        }
        text += n + (text[n] == '/');
    }
    buf_str_add(&out, "");
    if (parts <= MOST_PARTS)
        return buf_detach(&out, NULL);
    buf_release(&out);
    return NULL;
}

int mlflow_artifact_path(const char *sent, char **path, struct err *err)
{
    char *text = unescaped(sent);
    *path = text && is_plain(text) ? tidied(text) : NULL;
    free(text);
    if (*path && beneath_is_path(*path))
        return 0;
    free(*path);
    *path = NULL;
    return err_set(err, ERR_CONFIG, "Invalid path");
}
