/* lib/secret/secret.h - what is a secret, and what stands in its place: the one place that decides.
 *
 * A secret is told by its name: HF_TOKEN, wandb.apiKey, --client-secret, db_password, but
 * not tokenizer, max_tokens or eos_token. A name is taken apart at what is no letter or
 * digit and where small letters are followed by a capital, and its words are looked up in
 * secrets.def. Without a name a text is one where it has the form of a well-known service's
 * keys (hf_...), or is the user's part of an address (https://me:this@host).
 *
 * What is hidden becomes SECRET_SHOWN. It is not hidden that there is something: names stay.
 * Nor is what only stands for a value: empty texts, ${envvar:HF_TOKEN}, {token}, $TOKEN,
 * <token>, and words like none and true. Hiding again changes nothing.
 *
 * Names and forms find what people write; they do not find a secret that nobody called one.
 * So a number is never hidden under a name that also counts things (session: 3). */
#ifndef LIB_SECRET_SECRET_H
#define LIB_SECRET_SECRET_H

#include <jansson.h>
#include <stdbool.h>

#define SECRET_SHOWN "[redacted]"

bool secret_name(const char *name);
/* Is this value, a text as it was written, to be hidden under this name? */
bool secret_value(const char *name, const char *value);
/* The text without what is secret in it: NAME=value, NAME: value, --name value (also as
 * items of a list), Bearer ..., user:password@ in addresses, and the forms. Newly
 * allocated; NULL where there is nothing to hide. */
char *secret_text(const char *text);
/* The same of a JSON text or of any other; JSON stays JSON. */
char *secret_json_text(const char *text);
/* A tree without secrets: of members by their names with all that they hold, of objects
 * {"name": N, "value": V} (or "key"), of words behind --name in lists, and within every
 * text. New reference, the tree itself where there is nothing to hide. */
json_t *secret_json(const json_t *tree);

#endif
