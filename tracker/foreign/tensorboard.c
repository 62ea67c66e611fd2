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
    DEPTH = 6, /* of folders below the one that was named */
    WITHIN = 8 /* events of a file in which the hparams plug-in's stand */
};

/* A folder with event files, or one whose parts have them. */
struct event_folder {
    char *path;
    char **files; /* borrowed */
    size_t count, cap;
    size_t children; /* with hparams, right below */
    size_t parts;    /* folders that are part of its run */
    bool hparams;
    size_t into;       /* 1 + the folder whose run it is part of; 0: its own */
    const char *split; /* it is that part of a run: "train"; NULL: all, or hparams' */
    char *alias;       /* it is this one curve of a run; NULL: it is not */
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

/* What the first events of a file tell: whether they are of hparams, and the tag of the
 * first value (newly allocated; NULL: there is none). */
static bool look_into(const char *path, char **tag)
{
    struct tfrecords records;
    struct record record;
    struct fs_map m;
    bool hparams = false;
    *tag = NULL;
    if (fs_size(path) == 0 || fs_map(path, &m, NULL) < 0)
        return false;
    tfrecords_init(&records, m.data, m.size);
    for (int i = 0; i < WITHIN && tfrecords_next(&records, &record); i++)
        hparams |= event_look(pb_of(record.data, record.length), tag);
    fs_unmap(&m);
    return hparams;
}

static bool has_hparams(const char *path)
{
    char *tag;
    const bool yes = look_into(path, &tag);
    free(tag);
    return yes;
}

/* ---- folders ---- */

static struct event_folder *folder_of(struct event_folders *all, const char *path)
{
    int64_t at = 0;
    return strmap_get(all->by_path, path, strlen(path), &at) ? &all->items[at] : NULL;
}

static struct event_folder *new_folder(struct event_folders *all, const char *path)
{
    strmap_put(all->by_path, path, strlen(path), (int64_t)all->count);
    all->items = xgrow(all->items, &all->cap, all->count + 1, sizeof *all->items);
    all->items[all->count] = (struct event_folder){.path = xstrdup(path)};
    return &all->items[all->count++];
}

static void sort_into_folders(struct event_folders *all, const struct found_files *found)
{
    all->by_path = strmap_new();
    for (size_t i = 0; i < found->count; i++) {
        char *path = fs_dirname(found->paths[i]);
        struct event_folder *folder = folder_of(all, path);
        if (!folder)
            folder = new_folder(all, path);
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

static void join(struct event_folders *all, struct event_folder *folder,
                 struct event_folder *parent)
{
    parent->parts++;
    folder->into = 1 + (size_t)(parent - all->items);
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
        if (parent && folder->hparams && !parent->hparams && parent->children == 1)
            join(all, folder, parent);
    }
}

/* ---- runs that lie in parts ---- */

static const struct {
    const char *folder, *split;
    bool below_run; /* of one that has files of its own (TensorFlow 1's estimators) */
} splits[] = {{"train", "train", false},
              {"validation", "eval", true},
              {"eval", "eval", true},
              {"test", "test", false}};

static const char *split_of(const char *path, bool below_run)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < ARRAY_LEN(splits); i++)
        if (str_eq(name, splits[i].folder) && (splits[i].below_run || !below_run))
            return splits[i].split;
    return NULL;
}

static bool is_within(const char *path, const char *named)
{
    const size_t n = strlen(named);
    return !strncmp(path, named, n) && (path[n] == '\0' || path[n] == '/');
}

/* RUN/train and RUN/validation (Keras): RUN is the run, also where it has no file itself. A
 * folder that is called "test" alone is nobody's part. */
static void add_whole(struct event_folders *all, const char *path, const char *named)
{
    char *whole = fs_dirname(path);
    const char *slash = strrchr(path, '/');
    if (slash && str_eq(slash, "/train") && is_within(whole, named) &&
        !folder_of(all, whole))
        new_folder(all, whole);
    free(whole);
}

static void join_splits(struct event_folders *all, const char *path)
{
    const size_t count = all->count; /* those that are made have no parts above */
    char *named = realpath(path, NULL);
    for (size_t i = 0; named && i < count; i++)
        add_whole(all, all->items[i].path, named);
    for (size_t i = 0; i < count; i++) {
        struct event_folder *folder = &all->items[i], *parent = parent_of(all, folder);
        const char *split = parent ? split_of(folder->path, parent->count > 0) : NULL;
        if (!split || folder->into || parent->into)
            continue;
        join(all, folder, parent);
        folder->split = split;
    }
    free(named);
}

/* ---- curves that lie in folders (add_scalars) ---- */

/* The run above: the nearest folder with files. */
static struct event_folder *owner_of(struct event_folders *all,
                                     const struct event_folder *folder)
{
    struct event_folder *owner = NULL;
    char *path = fs_dirname(folder->path);
    for (int i = 0; i < DEPTH && (!owner || owner->count == 0); i++) {
        owner = folder_of(all, path);
        char *up = fs_dirname(path);
        free(path);
        path = up;
    }
    free(path);
    return owner && owner->count > 0 && !owner->into ? owner : NULL;
}

/* What stands behind the tag in a path: "sub" of "loss/sub" or "loss_sub"; NULL: nothing. */
static const char *behind_tag(const char *path, const char *tag)
{
    for (; *tag; tag++, path++)
        if (*path != *tag && !(*tag == '/' && *path == '_'))
            return NULL;
    return (*path == '/' || *path == '_') && path[1] ? path + 1 : NULL;
}

/* add_scalars("loss", {"sub": ...}) writes the tag "loss" into RUN/loss/sub (tensorboardX) or
 * RUN/loss_sub (torch): the run's curve loss/sub. */
static void join_curves(struct event_folders *all)
{
    for (size_t i = 0; i < all->count; i++) {
        struct event_folder *folder = &all->items[i], *owner = owner_of(all, folder);
        char *tag = NULL;
        if (!owner || folder->into || folder->count == 0)
            continue;
        look_into(folder->files[0], &tag);
        const char *sub =
            tag ? behind_tag(folder->path + strlen(owner->path) + 1, tag) : NULL;
        if (sub) {
            folder->alias = xasprintf("%s/%s", tag, sub);
            join(all, folder, owner);
        }
        free(tag);
    }
}

static void release_folders(struct event_folders *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free(all->items[i].path);
        free(all->items[i].files);
        free(all->items[i].alias);
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
    e->split = folder->split;
    e->alias = folder->alias;
    e->only_summary = folder->into && !folder->split && !folder->alias;
    e->growing = e->growing || (folder->count > 0 &&
                                found_is_growing(folder->files[folder->count - 1]));
    for (size_t i = 0; i < folder->count && rc == 0; i++) {
        rc = read_file(e, folder->files[i], err);
        e->file++;
    }
    return rc;
}

static int read_folder(struct foreign *f, const struct event_folders *all, size_t which,
                       const char *base, struct err *err)
{
    struct event_run e = {0};
    foreign_run_init(&e.run, f, "tensorboard");
    name_run(&e.run, &all->items[which], base);
    int rc = read_files(&e, &all->items[which], err);
    for (size_t i = 0; all->items[which].parts && i < all->count && rc == 0; i++)
        if (all->items[i].into == which + 1)
            rc = read_files(&e, &all->items[i], err);
    const bool wanted = rc == 0 && (e.ended || !e.growing || !foreign_goes_on(&e.run));
    if (wanted && e.events == 0)
        foreign_left_out(f, "folders without an event", 1);
    else if (wanted)
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
        join_splits(&all, path);
        join_curves(&all);
        char *base = base_of(&all, path);
        for (size_t i = 0; i < all.count && rc == 0; i++)
            if (!all.items[i].into)
                rc = read_folder(f, &all, i, base, err);
        free(base);
        release_folders(&all);
    }
    found_files_release(&found);
    return rc;
}
