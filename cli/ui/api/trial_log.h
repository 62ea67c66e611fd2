/* cli/ui/api/trial_log.h - what a trial's programs printed, piece by piece.
 *
 * The logs of a trial lie in its run folder: "output" is what the trainer said, "stdout"
 * and "stderr" are of a user's own program. A piece ends with a line, as long as more may
 * come, so that no line is shown in halves; secrets in it are hidden, and so is the part of a line
 * with a secret that a piece begins or ends in. */
#ifndef CLI_UI_TRIAL_LOG_H
#define CLI_UI_TRIAL_LOG_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* [{"name", "bytes"}] of those that are there; run_dir NULL: none. */
json_t *trial_logs(const char *run_dir);
/* {"name", "text", "from", "next", "size"}: `most` bytes at most from byte `from`, below 0:
 * so many before the end. `grows`: the last line may not be whole. */
json_t *trial_log_read(const char *run_dir, const char *name, int64_t from, int64_t most,
                       bool grows, struct err *err);

#endif
