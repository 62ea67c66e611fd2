/* runner/cache/cache.c - see cache.h. */
#include "runner/cache/cache.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "runner/cache/checksum.h"
#include "runner/cache/entries.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 300.0 /* others read all of a large base first, for its hash */

struct cache {
    char *dir;
    int64_t opened_ns;
    bool made;     /* the folder is there */
    double wait_s; /* for another process that makes an entry; 0 once one took too long */
    size_t room;   /* bytes that may come without another look at the folder */
};

/* Behind the bytes, which stand first, as they have to lie on a page. */
struct trailer {
    char magic[16];
    uint64_t bytes, checksum;
    char key[SHA256_HEX - 1];
};
#define MAGIC "peftlab cache 1\n"

struct cache *cache_open(void)
{
    char *dir = cache_folder_find();
    struct timespec now;
    if (!dir)
        return NULL;
    struct cache *c = xcalloc(1, sizeof *c);
    clock_gettime(CLOCK_REALTIME_COARSE, &now); /* the clock of file systems */
    *c = (struct cache){.dir = dir,
                        .opened_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
                        .wait_s = WAIT_S};
    return c;
}

void cache_close(struct cache *c)
{
    if (!c)
        return;
    free(c->dir);
    free(c);
}

/* Without data: of one that all write to, which has no checksum of its own. */
static struct trailer trailer_of(const char *key, const void *data, size_t n)
{
    struct trailer t = {.bytes = n, .checksum = data ? cache_sum(data, n) : 0};
    memcpy(t.magic, MAGIC, sizeof t.magic);
    memcpy(t.key, key, sizeof t.key);
    return t;
}

/* --- an entry that is there --- */

static int map_fd(int fd, size_t bytes, struct cache_entry *out)
{
    void *p = mmap(NULL, bytes + sizeof(struct trailer), PROT_READ,
                   MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (p == MAP_FAILED)
        return 0;
    *out = (struct cache_entry){p, bytes, true};
    return 1;
}

static int is_whole(const struct cache_entry *e, const char *key)
{
    const struct trailer is = trailer_of(key, e->data, e->bytes);
    return memcmp((const char *)e->data + e->bytes, &is, sizeof is) == 0;
}

/* 1: there, and now *out. What is damaged is removed. */
static int find(const char *path, const char *key, size_t bytes, struct cache_entry *out)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return 0;
    int found = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                (size_t)st.st_size == bytes + sizeof(struct trailer) &&
                map_fd(fd, bytes, out);
    if (found && !is_whole(out, key)) {
        cache_entry_release(out);
        found = 0;
    }
    if (found) /* the moment of its last use; not in a folder that cannot be written */
        (void)utimensat(AT_FDCWD, path, NULL, 0);
    else
        (void)unlink(path);
    close(fd);
    return found;
}

/* --- one that is not --- */

static bool is_at(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static int lock_wait(int fd, double until_s)
{
    for (long pause_us = 200;; pause_us = pause_us < 20000 ? pause_us * 2 : 20000) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if ((errno != EWOULDBLOCK && errno != EINTR) || clock_mono_s() > until_s)
            return -1;
        nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000}, NULL);
    }
}

/* The part, empty and locked; -1: it cannot be had. Whoever had the lock before may have
 * renamed the file meanwhile: then it is another's turn to be waited for, or nobody's. */
static int open_part(struct cache *c, const char *part)
{
    const double until_s = clock_mono_s() + c->wait_s;
    for (;;) {
        const int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
            return -1;
        if (lock_wait(fd, until_s) < 0) {
            c->wait_s = 0;
            close(fd);
            return -1;
        }
        if (is_at(fd, part) && ftruncate(fd, 0) == 0)
            return fd;
        close(fd);
    }
}

static bool write_all(int fd, const void *data, size_t n)
{
    const char *at = data;
    while (n) {
        const ssize_t w = write(fd, at, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        at += w;
        n -= (size_t)w;
    }
    return true;
}

struct making {
    const char *path, *key;
    size_t bytes;
    cache_make_fn *make;
    void *ctx;
};

/* 0: it is to be kept. */
static int make_in_memory(const struct making *m, struct cache_entry *out,
                          struct err *err)
{
    *out = (struct cache_entry){mem_try_aligned(m->bytes), m->bytes, false};
    const int rc = out->data
                       ? m->make(m->ctx, out->data, err)
                       : err_set(err, ERR_NOMEM, "no memory for %zu bytes", m->bytes);
    if (rc < 0)
        cache_entry_release(out);
    return rc;
}

/* Into the part and to its place; then what was made in memory is not needed any more. */
static void keep(const struct making *m, int fd, const char *part,
                 struct cache_entry *made)
{
    const struct trailer t = trailer_of(m->key, made->data, m->bytes);
    struct cache_entry mapped;
    if (!write_all(fd, made->data, m->bytes) || !write_all(fd, &t, sizeof t) ||
        rename(part, m->path) < 0) {
        (void)unlink(part);
        return;
    }
    if (map_fd(fd, m->bytes, &mapped)) {
        cache_entry_release(made);
        *made = mapped;
    }
}

static bool find_room(struct cache *c, size_t bytes)
{
    const size_t block = 4096; /* a disk's, and a page */
    bytes = (bytes + sizeof(struct trailer) + block - 1) / block * block;
    if (bytes > c->room && !cache_folder_make_room(c->dir, bytes, c->opened_ns, &c->room))
        return false;
    c->room -= bytes;
    return true;
}

static int make_entry(struct cache *c, const struct making *m, struct cache_entry *out,
                      struct err *err)
{
    char *part = xasprintf("%s" CACHE_PART, m->path);
    const int fd = open_part(c, part);
    int rc = 0;
    if (fd >= 0 && find(m->path, m->key, m->bytes, out)) { /* another's, waited for */
        (void)unlink(part);
    } else {
        rc = make_in_memory(m, out, err);
        if (fd >= 0 && !rc && find_room(c, m->bytes))
            keep(m, fd, part, out);
        else if (fd >= 0)
            (void)unlink(part);
    }
    if (fd >= 0) {
        /* a mapping holds the file, and with it a lock that is not given back */
        flock(fd, LOCK_UN);
        close(fd);
    }
    free(part);
    return rc < 0 ? rc : 0;
}

static char *path_of(const struct cache *c, const char *kind, const char *key,
                     char hex[SHA256_HEX])
{
    sha256_hex(key, strlen(key), hex);
    return xasprintf("%s/%s-%s", c->dir, kind, hex);
}

static bool make_folder(struct cache *c)
{
    char *above = fs_dirname(c->dir);
    if (!c->made)
        c->made = fs_is_dir(c->dir) ||
                  (fs_mkdirs(above, NULL) == 0 && mkdir(c->dir, 0700) == 0) ||
                  fs_is_dir(c->dir);
    free(above);
    return c->made;
}

int cache_take(struct cache *c, const char *kind, const char *key, size_t bytes,
               cache_make_fn *make, void *ctx, struct cache_entry *out, struct err *err)
{
    char hex[SHA256_HEX];
    char *path = c ? path_of(c, kind, key, hex) : NULL;
    const struct making m = {path, hex, bytes, make, ctx};
    int rc = 0;
    if (!path || !find(path, hex, bytes, out))
        rc = path && make_folder(c) ? make_entry(c, &m, out, err)
                                    : make_in_memory(&m, out, err);
    free(path);
    return rc < 0 ? rc : 0;
}

/* --- what all write to --- */

/* A folder that cannot be written gives a copy of each page that is written. */
static bool map_common(int fd, bool shared, const char *key, size_t bytes,
                       struct cache_entry *out)
{
    const struct trailer is = trailer_of(key, NULL, bytes);
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        (size_t)st.st_size != bytes + sizeof is)
        return false;
    void *p = mmap(NULL, bytes + sizeof is, PROT_READ | PROT_WRITE,
                   shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return false;
    *out = (struct cache_entry){p, bytes, true};
    if (memcmp((char *)p + bytes, &is, sizeof is) == 0)
        return true;
    cache_entry_release(out);
    return false;
}

static bool find_common(const char *path, const char *key, size_t bytes,
                        struct cache_entry *out)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    const bool shared = fd >= 0;
    if (!shared)
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    const bool found = map_common(fd, shared, key, bytes, out);
    if (found)
        (void)utimensat(AT_FDCWD, path, NULL, 0);
    else
        (void)unlink(path);
    close(fd);
    return found;
}

/* All of its blocks are taken at once: a write to a mapping cannot say that a disk is full. */
static bool make_common(struct cache *c, const struct making *m, struct cache_entry *out)
{
    char *part = xasprintf("%s" CACHE_PART, m->path);
    const struct trailer t = trailer_of(m->key, NULL, m->bytes);
    const int fd = open_part(c, part);
    const bool found = fd >= 0 && find_common(m->path, m->key, m->bytes, out),
               made = fd >= 0 && !found && find_room(c, m->bytes) &&
                      posix_fallocate(fd, 0, (off_t)(m->bytes + sizeof t)) == 0 &&
                      pwrite(fd, &t, sizeof t, (off_t)m->bytes) == (ssize_t)sizeof t &&
                      map_common(fd, true, m->key, m->bytes, out),
               kept = made && rename(part, m->path) == 0;
    if (fd >= 0) {
        if (!kept)
            (void)unlink(part);
        flock(fd, LOCK_UN);
        close(fd);
    }
    if (made && !kept)
        cache_entry_release(out);
    free(part);
    return found || kept;
}

bool cache_take_common(struct cache *c, const char *kind, const char *key, size_t bytes,
                       struct cache_entry *out)
{
    char hex[SHA256_HEX];
    char *path = path_of(c, kind, key, hex);
    const struct making m = {.path = path, .key = hex, .bytes = bytes};
    *out = (struct cache_entry){0};
    const bool there =
        find_common(path, hex, bytes, out) ||
        (cache_has_room(c, bytes) && make_folder(c) && make_common(c, &m, out));
    free(path);
    return there;
}

int cache_entry_own(struct cache_entry *e, struct err *err)
{
    if (e->mapped && mprotect(e->data, e->bytes, PROT_READ | PROT_WRITE) < 0)
        return err_set(err, ERR_NOMEM, "no memory for a copy of a mapped weight: %s",
                       strerror(errno));
    return 0;
}

void cache_entry_release(struct cache_entry *e)
{
    if (e->mapped)
        munmap(e->data, e->bytes + sizeof(struct trailer));
    else
        mem_free_aligned(e->data);
    *e = (struct cache_entry){0};
}

bool cache_holds(const struct cache *c, const char *kind, const char *key)
{
    char hex[SHA256_HEX];
    char *path = path_of(c, kind, key, hex);
    const bool there = fs_exists(path);
    free(path);
    return there;
}

bool cache_has_room(const struct cache *c, size_t bytes)
{
    return bytes <= cache_folder_limit() && bytes <= cache_folder_free_bytes(c->dir) / 4;
}

/* --- hashes of files --- */

#define FRESH_NS ((int64_t)2000000000) /* no file system's clock is coarser */

/* Of what opening it gives: under qemu /proc/self/exe is another file to stat. */
static bool opened_stamp(const char *path, struct fs_stamp *out)
{
    struct fs_map map;
    if (fs_map(path, &map, NULL) < 0)
        return false;
    *out = map.stamp;
    fs_unmap(&map);
    return true;
}

struct hashing {
    const char *path;
    const struct fs_stamp *stamp;
    int64_t began_ns;
};

static int make_hash(void *ctx, void *dst, struct err *err)
{
    const struct hashing *h = ctx;
    const struct fs_stamp *s = h->stamp;
    struct fs_stamp now;
    char hex[SHA256_HEX];
    const int rc = sha256_file(h->path, hex, err);
    if (rc)
        return rc;
    memcpy(dst, hex, SHA256_HEX);
    if (!opened_stamp(h->path, &now) || !fs_stamp_eq(s, &now))
        return err_set(err, ERR_IO, "'%s' changed while it was read", h->path);
    return s->changed_ns > h->began_ns - FRESH_NS ||
           s->modified_ns > h->began_ns - FRESH_NS;
}

int cache_file_hash(struct cache *c, const char *path, const struct fs_stamp *stamp,
                    char hex[SHA256_HEX], struct err *err)
{
    struct cache_entry e;
    struct fs_stamp opened;
    struct timespec now;
    if (!stamp && !opened_stamp(path, &opened))
        return err_set(err, ERR_NOINPUT, "'%s': not there", path);
    stamp = stamp ? stamp : &opened;
    clock_gettime(CLOCK_REALTIME, &now);
    struct hashing h = {path, stamp, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
    char *key =
        xasprintf("file %llu %llu %lld %lld %lld", (unsigned long long)stamp->device,
                  (unsigned long long)stamp->inode, (long long)stamp->size,
                  (long long)stamp->modified_ns, (long long)stamp->changed_ns);
    const int rc = cache_take(c, "hash", key, SHA256_HEX, make_hash, &h, &e, err);
    if (!rc) {
        memcpy(hex, e.data, SHA256_HEX);
        hex[SHA256_HEX - 1] = 0;
        cache_entry_release(&e);
    }
    free(key);
    return rc;
}
