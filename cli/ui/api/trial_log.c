/* cli/ui/api/trial_log.c - see trial_log.h. */
#include "cli/ui/api/trial_log.h"
#include "cli/ui/ui.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static json_t *read_piece(int fd, const char *name, int64_t from, int64_t most,
                          int64_t size, bool grows, struct err *err)
{
    char *text = xcalloc((size_t)most + 1, 1);
    const ssize_t got = pread(fd, text, (size_t)most, from);
    json_t *out = NULL;
    if (got < 0) {
        err_set(err, ERR_IO, "log '%s' cannot be read: %s", name, strerror(errno));
    } else {
        const bool full = got == most, more = grows || from + got < size;
        size_t n = whole_lines(text, (size_t)got, more);
        if (grows && !full && n == (size_t)got && got && text[got - 1] != '\n')
            n = 0; /* one line that is not at its end */
        text[n] = '\0';
        out = json_pack("{s:s, s:o, s:I, s:I, s:I}", "name", name, "text",
                        ui_text(text, n), "from", (json_int_t)from, "next",
                        (json_int_t)(from + (int64_t)n), "size", (json_int_t)size);
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
