/* lib/os/git.h - which commit the user's folder is at, and what was changed since.
 *
 * Asks the program git, without locks, hooks, pagers or external diff programs, ten
 * seconds at most. A folder outside of git, and a machine without git, have no state;
 * that is never an error. */
#ifndef LIB_OS_GIT_H
#define LIB_OS_GIT_H

#include "lib/buf.h"
#include <jansson.h>

/* {"commit": hex, "branch": name, "dirty": bool, "untracked": n}, and in `diff` the text
 * of `git diff HEAD`, empty when there is none or when it is longer than diff->max
 * ("diff_dropped": true then). NULL: no git here. `diff` may be NULL. */
json_t *git_state(const char *dir, struct buf *diff);

#endif
