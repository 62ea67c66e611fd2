/* cli/docs/docs.h - documentation made of the program's own tables.
 *
 * Commands, options, trial keys, sweep keys, methods, metrics and exit codes stand in one
 * table each, and everything that tells of them is made from it: man pages, completions,
 * and the marked blocks of the Markdown files. A block is
 *
 *     <!-- made by peftlab docs: KIND [ARGUMENT] -->
 *     ...
 *     <!-- end -->
 *
 * `peftlab docs fill FILE...` renews what stands between the marks, `peftlab docs check
 * FILE...` fails where it differs (tests/cli/docs.bats does that). Text outside of the
 * marks is written by hand. A new kind is a row in markdown.c. */
#ifndef CLI_DOCS_DOCS_H
#define CLI_DOCS_DOCS_H

#include "lib/buf.h"
#include "lib/config/opt.h"
#include "lib/err.h"

/* The content of a block: `what` is "KIND ARGUMENT". Paths in it are relative to the
 * working folder. */
int docs_block(const char *what, struct buf *out, struct err *err);
/* A text of blocks with all of them renewed. `path` is for messages. */
int docs_fill(const char *path, const char *text, struct buf *out, struct err *err);

/* Writes peftlab.1, a page per command, and the two file formats into a folder. */
int docs_man(const char *dir, struct err *err);

void docs_bash(struct buf *out);
void docs_zsh(struct buf *out);

/* What of the environment is read (environment.def); name NULL: no more. */
struct docs_variable {
    const char *name, *meaning;
};
extern const struct docs_variable docs_variables[];

/* Values that an option may have, for completion: "a b c"; nothing where they are open. */
void docs_choices(struct buf *out, const struct opt_def *def);

#endif
