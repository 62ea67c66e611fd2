/* tracker/foreign/tensorboard.c - TensorBoard's folders; see tensorboard_parts.h. */
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/wire/records.h"
#include "tracker/foreign/found_files.h"
#include "tracker/foreign/tensorboard_parts.h"
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH = 6,         /* of folders below the one that was named */
    HPARAMS_WITHIN = 8 /* events of a file in which the plug-in's stand */
};

/* A folder with event files; a folder of the hparams plug-in may have joined it. */
struct event_folder {
    char *path;
    char **files; /* borrowed */
    size_t count, cap;
    size_t children; /* with hparams, right below */
    bool hparams;
    bool joins;                  /* the run above it */
    struct event_folder *joined; /* by it; NULL: nothing */
};
struct event_folders {
    struct event_folder *items;
    size_t count, cap;
    struct strmap *by_path;
};

static bool is_event_file(const char *name)
{
    return strstr(name, ".tfevents.") != NULL;
}

bool foreign_is_tensorboard(const char *path)
{
    return found_any(path, DEPTH, is_event_file);
}

/* ---- one file ---- */

static int read_file(struct event_run *e, const char *path, struct err *err)
{
    struct tfrecords records;
    struct record record;
    struct fs_map m;
    if (fs_size(path) == 0)
        return 0;
    int rc = fs_map(path, &m, err);
    if (rc < 0)
        return rc;
    tfrecords_init(&records, m.data, m.size);
    while (rc == 0 && tfrecords_next(&records, &record))
        rc = event_take(e, pb_of(record.data, record.length), err);
    if (rc == 0) {
        foreign_left_out(e->run.into, "torn ends of files", records.torn);
        foreign_left_out(e->run.into, "damaged pieces of files",
                         records.damaged + e->bad_records);
        e->bad_records = 0;
    }
    fs_unmap(&m);
    return rc < 0 ? err_context(err, "%s: ", path) : rc;
}

static bool has_hparams(const char *path)
{
    struct tfrecords records;
    struct record record;
    struct fs_map m;
    bool yes = false;
    if (fs_size(path) == 0 || fs_map(path, &m, NULL) < 0)
        return false;
    tfrecords_init(&records, m.data, m.size);
    for (int i = 0; i < HPARAMS_WITHIN && !yes && tfrecords_next(&records, &record); i++)
        yes = event_is_hparams(pb_of(record.data, record.length));
    fs_unmap(&m);
    return yes;
}

/* ---- folders ---- */

static struct event_folder *folder_of(struct event_folders *all, const char *path)
{
    int64_t at = 0;
    return strmap_get(all->by_path, path, strlen(path), &at) ? &all->items[at] : NULL;
}

static void sort_into_folders(struct event_folders *all, const struct found_files *found)
{
    all->by_path = strmap_new();
    for (size_t i = 0; i < found->count; i++) {
        char *path = fs_dirname(found->paths[i]);
        struct event_folder *folder = folder_of(all, path);
        if (!folder) {
            strmap_put(all->by_path, path, strlen(path), (int64_t)all->count);
            all->items = xgrow(all->items, &all->cap, all->count + 1, sizeof *all->items);
            folder = &all->items[all->count++];
            *folder = (struct event_folder){.path = xstrdup(path)};
        }
        folder->files =
            xgrow(folder->files, &folder->cap, folder->count + 1, sizeof *folder->files);
        folder->files[folder->count++] = found->paths[i];
        folder->hparams = folder->hparams || has_hparams(found->paths[i]);
        free(path);
    }
}

static struct event_folder *parent_of(struct event_folders *all,
                                      const struct event_folder *folder)
{
    char *path = fs_dirname(folder->path);
    struct event_folder *parent = folder_of(all, path);
    free(path);
    return parent;
}

static void join_hparams(struct event_folders *all)
{
    for (size_t i = 0; i < all->count; i++) {
        struct event_folder *folder = &all->items[i], *parent = parent_of(all, folder);
        if (parent && folder->hparams)
            parent->children++;
    }
    for (size_t i = 0; i < all->count; i++) {
        struct event_folder *folder = &all->items[i], *parent = parent_of(all, folder);
        if (!parent || !folder->hparams || parent->hparams || parent->children != 1)
            continue;
        folder->joins = true;
        parent->joined = folder;
    }
}

static void release_folders(struct event_folders *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free(all->items[i].path);
        free(all->items[i].files);
    }
    free(all->items);
    strmap_free(all->by_path);
}

/* ---- runs ---- */

/* What runs are named below: the folder that was named, or the one around it where that is
 * a run itself. */
static char *base_of(struct event_folders *all, const char *path)
{
    char *real = realpath(path, NULL);
    char *folder = !real             ? xstrdup(path)
                   : fs_is_dir(real) ? xstrdup(real)
                                     : fs_dirname(real);
    char *around = fs_dirname(folder);
    const bool is_run = folder_of(all, folder) != NULL;
    free(real);
    free(is_run ? folder : around);
    return is_run ? around : folder;
}

static void name_run(struct foreign_run *r, const struct event_folder *folder,
                     const char *base)
{
    const char *slash = strrchr(base, '/'),
               *experiment = slash && slash[1] ? slash + 1 : "tensorboard",
               *id = folder->path + strlen(base);
    id += strspn(id, "/");
    foreign_text(&r->experiment, experiment, strlen(experiment));
    foreign_text(&r->id, id, strlen(id));
    foreign_text(&r->folder, folder->path, strlen(folder->path));
}

static int read_files(struct event_run *e, const struct event_folder *folder,
                      struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < folder->count && rc == 0; i++) {
        rc = read_file(e, folder->files[i], err);
        e->file++;
    }
    return rc;
}

static int read_folder(struct foreign *f, const struct event_folder *folder,
                       const char *base, struct err *err)
{
    struct event_run e = {0};
    foreign_run_init(&e.run, f, "tensorboard");
    name_run(&e.run, folder, base);
    int rc = read_files(&e, folder, err);
    e.only_summary = true;
    if (rc == 0 && folder->joined)
        rc = read_files(&e, folder->joined, err);
    if (rc == 0 && !e.ended && found_is_growing(folder->files[folder->count - 1]))
        foreign_left_out(f, "runs that are not over", 1);
    else if (rc == 0 && e.events == 0)
        foreign_left_out(f, "folders without an event", 1);
    else if (rc == 0)
        rc = foreign_give(&e.run, err);
    free(e.last_file);
    foreign_run_release(&e.run);
    return rc;
}

int foreign_read_tensorboard(struct foreign *f, const char *path, struct err *err)
{
    struct found_files found = {0};
    struct event_folders all = {0};
    int rc = found_files_of(&found, path, DEPTH, is_event_file, err);
    if (rc == 0 && found.count == 0)
        rc = err_set(err, ERR_NOINPUT, "'%s' holds no event file (*.tfevents.*)", path);
    if (rc == 0) {
        sort_into_folders(&all, &found);
        join_hparams(&all);
        char *base = base_of(&all, path);
        for (size_t i = 0; i < all.count && rc == 0; i++)
            if (!all.items[i].joins)
                rc = read_folder(f, &all.items[i], base, err);
        free(base);
        release_folders(&all);
    }
    found_files_release(&found);
    return rc;
}
