/* runner/hub/pull/hub.h - models and data sets of a Hugging Face style hub, brought into a
 * folder.
 *
 * The hub is asked for the list of files of a revision (/api/models/ID/revision/REV
 * ?blobs=true), with the commit that the revision stands for; files then come from that
 * commit (/ID/resolve/COMMIT/PATH). Each is written beside its place as PATH with an
 * ending of its own, which an interrupted pull goes on from, and moved there when size
 * and digest are right: the SHA-256 of large files, git's SHA-1 of small ones. Where the
 * list has neither, the headers of the answer (X-Linked-Etag, X-Linked-Size) are taken.
 *
 * What is there is recorded in DIR/.peftlab-pull.json: id, revision, commit, and each
 * file's size, digest and time of change, so that the next pull reads no file again which
 * has not changed, and an offline one can tell whether all is there.
 *
 * Names from the hub are not trusted: only relative paths without "..", ".", empty or
 * hidden-control parts are written, all inside DIR. */
#ifndef RUNNER_HUB_HUB_H
#define RUNNER_HUB_HUB_H

#include "lib/err.h"
#include "lib/hash.h"
#include "lib/net/http.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUB_ENDPOINT "https://huggingface.co"
#define HUB_RECORD   ".peftlab-pull.json"
#define HUB_PART     ".peftlab-part" /* ending of a file that is not whole yet */

struct hub_file {
    char *path;
    int64_t size;            /* -1: the hub does not say */
    char digest[SHA256_HEX]; /* 64 digits: SHA-256; 40: git's SHA-1; "": none known */
};

struct hub_list {
    char *commit; /* 40 digits, or the revision where the hub tells none */
    struct hub_file *files;
    size_t count;
};

/* The hub's answer. ERR_PARSE with the first thing that is wrong. */
int hub_list_parse(const char *text, size_t len, const char *name, struct hub_list *out,
                   struct err *err);
void hub_list_release(struct hub_list *l);
/* Keeps the files that match one of `patterns`, shell patterns on the whole path; * also
 * takes /, unless `top`: then files in folders match none. Returns how many bytes were
 * left out. */
int64_t hub_list_keep(struct hub_list *l, const char *const *patterns, size_t count,
                      bool top);
/* A path that may be written below a folder. */
bool hub_path_ok(const char *path);
/* "org/name" or "name". */
bool hub_id_ok(const char *id);
/* 0 where size and digest of the file are those of f; ERR_PARSE says what differs. */
int hub_check(const char *file, const struct hub_file *f, struct err *err);

struct hub_request {
    const char *id, *revision; /* "org/name", "main" */
    bool dataset, offline, all;
    const char *const *patterns; /* NULL: by kind, see hub_default_patterns */
    size_t pattern_count;
    const char *dir, *endpoint, *token; /* token NULL: none */
    struct http_policy policy;
    bool quiet;
};

struct hub_outcome {
    size_t files, fetched; /* there now; of them brought by this call */
    int64_t bytes, fetched_bytes, left_out_bytes;
    char *commit; /* owned; NULL: not known (offline, no record) */
};

/* What is taken of a model without --include: configuration, tokenizer and safetensors at
 * the top, not the same weights in other formats. Of a data set: everything. */
extern const char *const hub_model_patterns[];
extern const size_t hub_model_pattern_count;

int hub_pull(const struct hub_request *r, struct hub_outcome *out, struct err *err);

#endif
