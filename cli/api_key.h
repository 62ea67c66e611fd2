/* cli/api_key.h - the key that requests to a server of ours must carry. */
#ifndef CLI_API_KEY_H
#define CLI_API_KEY_H

#include "lib/buf.h"
#include "lib/err.h"
#include <jansson.h>

/* clang-format off */
#define API_KEY_OPTION(what) \
    {.key = "api_key_file", .type = OPT_PATH, .group = "network", .metavar = "FILE", \
     .help = "file with the key that " what " must carry (default: PEFTLAB_API_KEY, or none)"}
/* clang-format on */

/* The first line of a file that holds one secret, without blanks at its end. ERR_PARSE:
 * it is empty, or has what no header can carry; `flag` is named then. */
int api_key_of_file(const char *path, const char *flag, struct buf *key, struct err *err);
/* Of --api-key-file, else of the environment; empty where there is none. */
int api_key_read(const json_t *values, struct buf *key, struct err *err);

#endif
