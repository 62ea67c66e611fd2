/* cli/store/import_readers.h - readers of `peftlab import`: one format each, file in,
 * objects of tracker/exchange/exchange.h out. A reader gives each trial to import_object
 * and reports errors with "file:line"; the command makes one transaction of a file. */
#ifndef CLI_STORE_IMPORT_READERS_H
#define CLI_STORE_IMPORT_READERS_H

#include "tracker/exchange/exchange.h"

struct import_wish {
    const char *experiment;       /* NULL: as the file says */
    const char *params, *metrics; /* "a,b": columns of a table; NULL: not said */
    bool running;                 /* of other trackers also runs that go on */
};

typedef int import_reader(struct import *in, const char *path,
                          const struct import_wish *wish, struct err *err);
/* A table of complete trials, .csv or .tsv. */
import_reader import_table;
/* Lines of `peftlab export`. */
import_reader import_lines;
/* A result file of peft's method_comparison. */
import_reader import_peft_result;

/* Puts "path:line" (line 0: only the path) in front of a reader's message. */
int import_error(const char *path, size_t line, struct err *err);
/* [now, "import", text]: where a run came from. New reference. */
json_t *import_event(const char *path, size_t line);

#endif
