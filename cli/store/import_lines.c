/* cli/store/import_lines.c - lines of `peftlab export`, one object each. */
#include "cli/store/import_readers.h"
#include "lib/json.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int import_lines(struct import *in, const char *path, const struct import_wish *wish,
                 struct err *err)
{
    FILE *f = fopen(path, "r");
    char *text = NULL;
    size_t cap = 0, line = 0;
    ssize_t n = 0;
    int rc = 0;
    if (!f)
        return err_set(err, errno == ENOENT ? ERR_NOINPUT : ERR_IO, "'%s': %s", path,
                       strerror(errno));
    while (rc == 0 && (n = getline(&text, &cap, f)) >= 0) {
        line++;
        if (n == 0 || text[strspn(text, " \t\r\n")] == '\0')
            continue;
        json_t *object = json_parse(text, (size_t)n, path, err);
        rc = object ? 0 : err_code(err);
        if (rc == 0 && wish->experiment) {
            const char *type = json_get_str(object, "type", "");
            json_object_set_new(object,
                                strcmp(type, "experiment") ? "experiment" : "name",
                                json_string(wish->experiment));
        }
        if (rc == 0)
            rc = import_object(in, object, err);
        json_decref(object);
    }
    if (rc == 0 && ferror(f))
        rc = err_set(err, ERR_IO, "'%s': cannot read on: %s", path, strerror(errno));
    else if (rc < 0)
        rc = import_error(path, line, err);
    fclose(f);
    free(text);
    return rc;
}
