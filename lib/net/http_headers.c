/* lib/net/http_headers.c - see http_headers.h. */
#include "lib/net/http_headers.h"
#include "lib/json.h"
#include "lib/mem.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADERS = 200 };

void http_headers_line(json_t **headers, const char *line, size_t len)
{
    if (len > 5 && !strncmp(line, "HTTP/", 5)) {
        json_decref(*headers);
        *headers = json_object();
        return;
    }
    const char *colon = memchr(line, ':', len);
    if (!colon || json_object_size(*headers) >= MAX_HEADERS)
        return;
    char *name = xstrndup(line, (size_t)(colon - line));
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    const char *value = colon + 1, *end = line + len;
    while (value < end && isspace((unsigned char)*value))
        value++;
    while (end > value && isspace((unsigned char)end[-1]))
        end--;
    json_object_set_new(*headers, name, json_stringn(value, (size_t)(end - value)));
    free(name);
}

bool http_headers_range_at(const json_t *headers, int64_t at)
{
    const char *range = json_get_str(headers, "content-range", "");
    char *end;
    if (strncmp(range, "bytes ", 6) != 0)
        return false;
    errno = 0;
    const long long from = strtoll(range + 6, &end, 10);
    return !errno && end > range + 6 && *end == '-' && from == at;
}
