/* lib/secret/secret_parts.h - what secret.c and secret_text.c share. */
#ifndef LIB_SECRET_SECRET_PARTS_H
#define LIB_SECRET_SECRET_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#define SECRET_NAME_MAX 128

/* Growing: the larger one counts. */
enum secret_kind { SECRET_none, SECRET_text_only, SECRET_any };

enum secret_kind secret_kind_of(const char *name, size_t n);
bool secret_value_of(enum secret_kind kind, const char *value, size_t n);
bool secret_has_form(const char *word, size_t n);

#endif
