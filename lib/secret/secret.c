/* lib/secret/secret.c - names and values of secrets; see secret.h. Within texts: secret_text.c. */
#include "lib/secret/secret.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret_parts.h"
#include "lib/str.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { ANYWHERE_IN, AT_THE_END, NOT_AT_THE_END };
static const struct rule {
    const char *words;
    size_t length;
    int where;
    bool numbers;
} rules[] = {
#define RULE(words, where, numbers)                                                      \
    {"_" words "_", sizeof("_" words "_") - 1, where, numbers},
#define ANYWHERE(words, numbers) RULE(words, ANYWHERE_IN, numbers)
#define AT_END(words, numbers)   RULE(words, AT_THE_END, numbers)
#define NOT_AT_END(words)        RULE(words, NOT_AT_THE_END, false)
#define FORM(prefix, length, unbroken)
#include "lib/secret/secrets.def"
#undef ANYWHERE
#undef AT_END
#undef NOT_AT_END
#undef FORM
};
static const struct form {
    const char *prefix;
    size_t length, unbroken;
} forms[] = {
#define ANYWHERE(words, numbers)
#define AT_END(words, numbers)
#define NOT_AT_END(words)
#define FORM(prefix, length, unbroken) {prefix, length, unbroken},
#include "lib/secret/secrets.def"
#undef ANYWHERE
#undef AT_END
#undef NOT_AT_END
#undef FORM
};

/* ---- names ---- */

/* "_hf_token_" of "HF_TOKEN", "--hfToken", "hf.token"; a longer name keeps its end. */
static size_t take_apart(const char *name, size_t n, char out[SECRET_NAME_MAX * 2 + 3])
{
    size_t to = 0;
    if (n > SECRET_NAME_MAX) {
        name += n - SECRET_NAME_MAX;
        n = SECRET_NAME_MAX;
    }
    out[to++] = '_';
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)name[i];
        const bool begins = i > 0 && isupper(c) &&
                            (islower((unsigned char)name[i - 1]) ||
                             (isupper((unsigned char)name[i - 1]) && i + 1 < n &&
                              islower((unsigned char)name[i + 1])));
        if ((begins || !isalnum(c)) && out[to - 1] != '_')
            out[to++] = '_';
        if (isalnum(c))
            out[to++] = (char)tolower(c);
    }
    if (out[to - 1] != '_')
        out[to++] = '_';
    out[to] = '\0';
    return to;
}

enum secret_kind secret_kind_of(const char *name, size_t n)
{
    char words[SECRET_NAME_MAX * 2 + 3];
    enum secret_kind kind = SECRET_none;
    if (n < 4) /* "auth" */
        return kind;
    const size_t length = take_apart(name, n, words);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *r = &rules[i];
        if (length < r->length ||
            (r->where == ANYWHERE_IN
                 ? !strstr(words, r->words)
                 : memcmp(words + length - r->length, r->words, r->length) != 0))
            continue;
        if (r->where == NOT_AT_THE_END)
            return SECRET_none;
        if (r->numbers || kind == SECRET_none)
            kind = r->numbers ? SECRET_any : SECRET_text_only;
    }
    return kind;
}

bool secret_name(const char *name)
{
    return secret_kind_of(name, strlen(name)) != SECRET_none;
}

/* ---- values ---- */

static bool stands_for_one(const char *v, size_t n)
{
    static const char *const words[] = {"none",  "null", "true", "false",
                                        "unset", "auto", "nil",  SECRET_SHOWN};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strlen(words[i]) == n && !strncasecmp(words[i], v, n))
            return true;
    if (n >= 2 && ((v[0] == '{' && v[n - 1] == '}') || (v[0] == '<' && v[n - 1] == '>') ||
                   (v[0] == '$' && v[1] == '{' && v[n - 1] == '}')))
        return true;
    size_t i = 1;
    while (i < n &&
           (isupper((unsigned char)v[i]) || isdigit((unsigned char)v[i]) || v[i] == '_'))
        i++;
    return n == 0 || (v[0] == '$' && n > 1 && i == n);
}

bool secret_value_of(enum secret_kind kind, const char *value, size_t n)
{
    double number;
    char copy[64];
    if (kind == SECRET_none || stands_for_one(value, n))
        return false;
    if (kind == SECRET_any || n >= sizeof copy)
        return true;
    memcpy(copy, value, n);
    copy[n] = '\0';
    return !str_number(copy, &number);
}

bool secret_value(const char *name, const char *value)
{
    return secret_value_of(secret_kind_of(name, strlen(name)), value, strlen(value));
}

/* Letters and digits in a row, at most. */
static size_t longest_run(const char *s, size_t n)
{
    size_t longest = 0, run = 0;
    for (size_t i = 0; i < n; i++) {
        run = isalnum((unsigned char)s[i]) ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

bool secret_has_form(const char *word, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        const size_t head = strlen(forms[i].prefix);
        if (n >= head + forms[i].length && !strncmp(word, forms[i].prefix, head) &&
            longest_run(word + head, n - head) >= forms[i].unbroken)
            return true;
    }
    return false;
}

/* ---- trees ---- */

static json_t *hidden(const json_t *v, enum secret_kind kind);

static json_t *hidden_text(const json_t *v, enum secret_kind kind)
{
    const char *text = json_string_value(v);
    if (secret_value_of(kind, text, json_string_length(v)))
        return json_string(SECRET_SHOWN);
    char *clean = secret_text(text);
    json_t *out = clean ? json_string(clean) : json_incref((json_t *)v);
    free(clean);
    return out;
}

/* {"name": "HF_TOKEN", "value": ...} */
static enum secret_kind kind_of_pair(const json_t *object)
{
    const char *name = json_get_str(object, "name", json_get_str(object, "key", NULL));
    return name ? secret_kind_of(name, strlen(name)) : SECRET_none;
}

static json_t *hidden_object(const json_t *v, enum secret_kind kind)
{
    json_t *out = json_object(), *member;
    const char *name;
    json_object_foreach((json_t *)v, name, member)
    {
        enum secret_kind own = secret_kind_of(name, strlen(name));
        if (own == SECRET_none && str_eq(name, "value"))
            own = kind_of_pair(v);
        json_object_set_new(out, name, hidden(member, own > kind ? own : kind));
    }
    return out;
}

static json_t *hidden_list(const json_t *v, enum secret_kind kind)
{
    json_t *out = json_array(), *item;
    enum secret_kind of_flag = SECRET_none;
    size_t i;
    json_array_foreach((json_t *)v, i, item)
    {
        const char *text = json_string_value(item);
        const bool flag = text && text[0] == '-' && !strpbrk(text, "= ");
        const enum secret_kind k = flag ? SECRET_none : of_flag;
        json_array_append_new(out, hidden(item, k > kind ? k : kind));
        of_flag = flag ? secret_kind_of(text, strlen(text)) : SECRET_none;
    }
    return out;
}

static json_t *hidden(const json_t *v, enum secret_kind kind)
{
    if (json_is_object(v))
        return hidden_object(v, kind);
    if (json_is_array(v))
        return hidden_list(v, kind);
    if (json_is_string(v))
        return hidden_text(v, kind);
    if (json_is_number(v) && kind == SECRET_any)
        return json_string(SECRET_SHOWN);
    return json_incref((json_t *)v);
}

json_t *secret_json(const json_t *tree)
{
    if (!tree)
        return NULL;
    json_t *out = hidden(tree, SECRET_none);
    if (json_equal(tree, out)) {
        json_decref(out);
        return json_incref((json_t *)tree);
    }
    return out;
}
