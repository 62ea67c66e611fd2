/* tracker/claims/attend.c - see attend.h. */
#include "tracker/claims/attend.h"
#include "lib/mem.h"
#include "tracker/store/store_priv.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_BYTE (1 << 20) /* the file has none: locks need no bytes */

static struct flock byte_of(int64_t sweep, short type)
{
    return (struct flock){.l_type = type,
                          .l_whence = SEEK_SET,
                          .l_start = (off_t)(FIRST_BYTE + sweep),
                          .l_len = 1};
}

void store_attend(struct store *s, int64_t sweep)
{
    struct flock shared = byte_of(sweep, F_RDLCK);
    fcntl(s->turn_fd, F_OFD_SETLK, &shared);
}

bool store_is_attended(const struct store *s, int64_t sweep)
{
    struct flock whole = byte_of(sweep, F_WRLCK);
    char *path = xasprintf("%s-lock", s->path);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const bool asked = fd >= 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0;
    if (fd >= 0)
        close(fd);
    free(path);
    return asked && whole.l_type != F_UNLCK;
}
