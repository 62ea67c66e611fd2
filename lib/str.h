/* lib/str.h - small string helpers: nearest name, suffix, human units, UTF-8
 * width, base64. */
#ifndef LIB_STR_H
#define LIB_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);
/* Damerau-Levenshtein distance (adjacent swaps count one), case-insensitive. */
size_t str_distance(const char *a, const char *b);
/* What may have been meant of `names`: the closest, where no more than one letter in four is
 * another; else the shortest that begins with the word ("batch": "batch_size"), ends with it
 * ("accuracy": "eval/accuracy") or has it within, unless two are as short; else what is that
 * close behind its last '/'. NULL: nothing that would help. */
const char *str_nearest(const char *word, const char *const *names, size_t count);
/* True when `word` is one of the entries of a list such as "lora|qlora|head". */
bool str_in_list(const char *word, const char *list, char separator);
/* All of the text is a finite number ("50", "2.5e3"). */
bool str_number(const char *s, double *out);
/* All of the text is a whole number that fits ("50", "-3"); *out is left alone else. */
bool str_whole(const char *s, int64_t *out);
/* "1.5 GiB", "312 KiB"; "2.3 s", "4 min 10 s"; into `out`, which is returned. */
char *str_bytes(char *out, size_t n, double bytes);
char *str_duration(char *out, size_t n, double seconds);
/* "UTF-16" or "UTF-32" where the bytes begin as such a text does (by its mark, or by zeros
 * between ASCII letters), else NULL: what is read here is UTF-8. */
const char *str_wide_encoding(const void *text, size_t n);
/* Columns a terminal uses for UTF-8 text (libutf8proc); invalid bytes count one. */
size_t str_width(const char *utf8);
/* Copies `s` with control characters and invalid UTF-8 replaced, so that it may go to a
 * terminal. Caller frees. */
char *str_clean(const char *s, size_t len);
/* The same in place, with a '?' for every byte that may not stay. */
void str_clean_here(char *s);
/* Bytes as text and back (base64, RFC 4648, with padding); newly allocated. */
char *str_base64_encode(const void *data, size_t n);
/* The bytes of n characters, at most 3 n / 4; padding may be missing. Returns how many, or
 * -1 where a character is none of the alphabet. */
int64_t str_base64_decode(const char *s, size_t n, unsigned char *out);
/* Is the code point one that they replace? */
bool str_is_control(int32_t c);

#endif
