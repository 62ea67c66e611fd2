/* lib/config/opt_parts.h - inside opt*.c. */
#ifndef LIB_CONFIG_OPT_PARTS_H
#define LIB_CONFIG_OPT_PARTS_H

#include <stdbool.h>
#include <stddef.h>

/* Entry `index` of "a|b|c", not NUL-terminated; false when there are fewer. */
bool opt_list_entry(const char *list, size_t index, const char **start, size_t *len);

#endif
