/* cli/ui/api/trial_log.c - see trial_log.h. */
#include "cli/ui/api/trial_log.h"
#include "cli/ui/ui.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AROUND = 4096 }; /* bytes before and behind a piece that are looked at as well */

/* Paths start in the run folder. */
static const struct {
    const char *name, *path;
} logs[] = {
    {"output", "../output.log"},
    {"stdout", "stdout.log"},
    {"stderr", "stderr.log"},
};

/* A plain file and no link, so that a store from elsewhere shows nothing but logs; -1. */
static int open_log(const char *run_dir, const char *path, int64_t *size)
{
    struct stat st;
    char *full = xasprintf("%s/%s", run_dir, path);
    const int fd = open(full, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    free(full);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -1;
    }
    *size = st.st_size;
    return fd;
}

json_t *trial_logs(const char *run_dir)
{
    json_t *list = json_array();
    for (size_t i = 0; run_dir && i < ARRAY_LEN(logs); i++) {
        int64_t size;
        const int fd = open_log(run_dir, logs[i].path, &size);
        if (fd < 0)
            continue;
        close(fd);
        json_array_append_new(list, json_pack("{s:s, s:I}", "name", logs[i].name, "bytes",
                                              (json_int_t)size));
    }
    return list;
}

/* Where a piece ends: behind its last line, where something may still follow. */
static size_t whole_lines(const char *text, size_t n, bool more)
{
    const char *end = more ? memrchr(text, '\n', n) : NULL;
    return end ? (size_t)(end - text) + 1 : n;
}

static bool ends_line(char c)
{
    return c == '\n' || c == '\r';
}

/* Whether the text is cut at `at` within a line that holds a secret: a part of one would not
 * be known as such. */
static bool cuts_secret(const char *text, size_t size, size_t at)
{
    size_t from = at, to = at;
    while (from > 0 && !ends_line(text[from - 1]))
        from--;
    while (to < size && !ends_line(text[to]))
        to++;
    if (from == at || to == at)
        return false;
    char *line = xstrndup(text + from, to - from), *clean = secret_text(line);
    const bool yes = clean != NULL;
    free(line);
    free(clean);
    return yes;
}

/* From begin to end, without secrets; of a line with one that is cut, nothing. */
static json_t *shown_piece(const char *text, size_t size, size_t begin, size_t end)
{
    struct buf out = BUF_INIT;
    size_t from = begin, to = end;
    if (cuts_secret(text, size, begin))
        while (from < end && !ends_line(text[from]))
            from++;
    if (cuts_secret(text, size, end))
        while (to > from && !ends_line(text[to - 1]))
            to--;
    buf_str_add(&out, from > begin ? SECRET_SHOWN : "");
    buf_add(&out, text + from, to - from);
    buf_str_add(&out, to < end ? SECRET_SHOWN : "");
    json_t *shown = ui_text(buf_str(&out), out.len);
    buf_release(&out);
    return shown;
}

static json_t *read_piece(int fd, const char *name, int64_t from, int64_t most,
                          int64_t size, bool grows, struct err *err)
{
    const size_t before = from < AROUND ? (size_t)from : AROUND;
    char *text = xcalloc(before + (size_t)most + AROUND + 1, 1), *piece = text + before;
    const ssize_t all =
        pread(fd, text, before + (size_t)most + AROUND, from - (int64_t)before);
    json_t *out = NULL;
    if (all < 0) {
        err_set(err, ERR_IO, "log '%s' cannot be read: %s", name, strerror(errno));
    } else {
        const int64_t left = all - (int64_t)before, got = left < 0      ? 0
                                                          : left < most ? left
                                                                        : most;
        const bool full = got == most, more = grows || from + got < size;
        size_t n = whole_lines(piece, (size_t)got, more);
        if (grows && !full && n == (size_t)got && got && piece[got - 1] != '\n')
            n = 0; /* one line that is not at its end */
        for (ssize_t i = 0; i < all; i++)
            text[i] = text[i] ? text[i] : '?';
        out = json_pack("{s:s, s:o, s:I, s:I, s:I}", "name", name, "text",
                        shown_piece(text, (size_t)all, before, before + n), "from",
                        (json_int_t)from, "next", (json_int_t)(from + (int64_t)n), "size",
                        (json_int_t)size);
    }
    free(text);
    return out;
}

json_t *trial_log_read(const char *run_dir, const char *name, int64_t from, int64_t most,
                       bool grows, struct err *err)
{
    int64_t size = 0;
    int fd = -1;
    for (size_t i = 0; run_dir && i < ARRAY_LEN(logs); i++)
        if (str_eq(logs[i].name, name))
            fd = open_log(run_dir, logs[i].path, &size);
    if (fd < 0) {
        err_set(err, ERR_NOINPUT, "the trial has no log '%.60s'", name);
        return NULL;
    }
    if (from < 0)
        from = size + from > 0 ? size + from : 0;
    json_t *out = read_piece(fd, name, from < size ? from : size, most, size, grows, err);
    close(fd);
    return out;
}
