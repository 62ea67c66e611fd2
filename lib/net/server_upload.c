/* lib/net/server_upload.c - see server_upload.h: bodies. */
#include "lib/net/server_upload.h"
#include "lib/mem.h"
#include "lib/net/server_call.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a name that no other process and no earlier upload has. */
static int new_file(const char *folder, char **path)
{
    static atomic_uint count;
    int fd;
    *path = NULL;
    do {
        free(*path);
        *path =
            xasprintf("%s/%ld-%u", folder, (long)getpid(), atomic_fetch_add(&count, 1));
        fd = open(*path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (fd < 0 && errno == EEXIST);
    return fd;
}

void server_call_upload(struct server_call *c, const char *folder, uint64_t most,
                        void (*then)(void *ctx, struct server_call *c))
{
    struct server_upload *u = xcalloc(1, sizeof *u);
    u->fd = new_file(folder, &u->path);
    u->then = then;
    c->upload = u;
    c->most = most;
    if (u->fd >= 0)
        return;
    server_reply_error(c, 500, "there is no place for an upload: %s", strerror(errno));
    free(u->path);
    u->path = NULL;
}

void server_upload_take(struct server_call *c, const char *data, size_t size)
{
    struct server_upload *u = c->upload;
    while (size && !u->failed) {
        const ssize_t n = write(u->fd, data, size);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            u->failed = n ? errno : EIO;
        }
    }
}

void server_upload_end(struct server_call *c)
{
    const int no = c->upload->failed;
    if (no)
        server_reply_error(c, no == ENOSPC || no == EDQUOT || no == EFBIG ? 507 : 500,
                           "the upload could not be written: %s", strerror(no));
}

char *server_call_take_file(struct server_call *c, uint64_t *size)
{
    char *path = c->upload->path;
    c->upload->path = NULL;
    *size = c->taken;
    return path;
}

void server_upload_free(struct server_upload *u)
{
    if (!u)
        return;
    if (u->fd >= 0)
        close(u->fd);
    if (u->path)
        unlink(u->path);
    free(u->path);
    free(u);
}
