/* tracker/store/turn.c - whose turn it is to write: an exclusive flock on a file beside
 * the store.
 *
 * The lock is on a file of its own because closing any descriptor of the database would
 * drop SQLite's own locks. It vanishes with its process, however that ends. */
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "tracker/store/store_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* File systems that several hosts may see, by statfs magic (statfs(2), kernel and vendor
 * headers). WAL needs memory shared by all users of the file. */
static const struct {
    unsigned long magic;
    const char *name;
} network_fs[] = {
    {0x6969, "NFS"},      {0xFF534D42, "CIFS"},   {0xFE534D42, "SMB2"},
    {0x517B, "SMB"},      {0x0BD00BD0, "Lustre"}, {0x47504653, "GPFS"},
    {0x65735546, "FUSE"}, {0x00C36400, "Ceph"},   {0x5346414F, "AFS"},
    {0x6B414653, "AFS"},  {0x7461636F, "OCFS2"},  {0x19830326, "BeeGFS"},
};

/* FUSE serves local and remote file systems alike; the mount table tells the kind. */
static const char *const remote_fuse[] = {
    "sshfs",     "glusterfs", "s3fs",          "rclone",   "ceph",
    "ceph-fuse", "juicefs",   "gcsfuse",       "goofys",   "davfs",
    "mfs",       "smbnetfs",  "curlftpfs",     "wekafs",   "beegfs",
    "moosefs",   "seaweedfs", "mountpoint-s3", "lizardfs", "blobfuse2",
};

static bool fuse_is_remote(const char *path)
{
    struct buf text = BUF_INIT;
    bool remote = false;
    size_t best = 0; /* length of the deepest mount point above path so far */
    char *save = NULL, *line = NULL;
    if (fs_read("/proc/self/mountinfo", 1 << 22, &text, NULL) == 0 && text.data)
        line = strtok_r(text.data, "\n", &save);
    for (; line; line = strtok_r(NULL, "\n", &save)) {
        char mount[1024], kind[128];
        const char *dash = strstr(line, " - ");
        if (!dash || sscanf(line, "%*s %*s %*s %*s %1023s", mount) != 1 ||
            sscanf(dash + 3, "%127s", kind) != 1)
            continue;
        size_t n = strcmp(mount, "/") ? strlen(mount) : 0;
        if (n < best || strncmp(path, mount, n) != 0 || (path[n] != '/' && path[n]))
            continue;
        best = n;
        remote = false;
        for (size_t i = 0; i < ARRAY_LEN(remote_fuse); i++)
            remote |= str_has_prefix(kind, "fuse.") && str_eq(kind + 5, remote_fuse[i]);
    }
    buf_release(&text);
    return remote;
}

bool turn_is_network_fs(const char *path, const char **name)
{
    struct statfs st;
    char *dir = fs_dirname(path);
    bool network = false;
    if (statfs(dir, &st) == 0)
        for (size_t i = 0; i < ARRAY_LEN(network_fs) && !network; i++)
            if (network_fs[i].magic == ((unsigned long)st.f_type & 0xFFFFFFFFul)) {
                *name = network_fs[i].name;
                network = strcmp(*name, "FUSE") != 0 || fuse_is_remote(dir);
            }
    free(dir);
    return network;
}

int turn_open(struct store *s, struct err *err)
{
    char *path = xasprintf("%s-lock", s->path);
    int rc = 0;
    s->turn_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->turn_fd < 0)
        rc = err_set(err, ERR_IO, "store '%s': cannot open its lock file '%s': %s",
                     s->path, path, strerror(errno));
    free(path);
    return rc;
}

/* flock knows no time limit, so it is asked again, a little later each time. */
int turn_take(struct store *s, int wait_ms, struct err *err)
{
    double end = clock_mono_s() + wait_ms / 1000.0;
    for (long pause_us = 50;; pause_us = pause_us < 5000 ? pause_us * 2 : 5000) {
        if (flock(s->turn_fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_set(err, ERR_IO, "store '%s': cannot lock '%s-lock': %s", s->path,
                           s->path, strerror(errno));
        if (clock_mono_s() >= end)
            return err_set(err, ERR_BUSY,
                           "store '%s' is being written by another process for more than "
                           "%d s; try again",
                           s->path, wait_ms / 1000);
        nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000}, NULL);
    }
}

void turn_give(struct store *s)
{
    flock(s->turn_fd, LOCK_UN);
}
