/* tracker/foreign/mlflow_parts.c - see mlflow_parts.h. */
#include "tracker/foreign/mlflow_parts.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Texts that a number or a truth value was; "007" and the like stay, and so does a whole
 * number that a double does not keep (an identifier). */
static json_t *typed_param(const char *text, size_t len)
{
    double x;
    const char *digits = text + (*text == '-');
    const bool padded = digits[0] == '0' && isdigit((unsigned char)digits[1]);
    if (str_eq(text, "True") || str_eq(text, "False"))
        return json_boolean(*text == 'T');
    if (!padded && (isdigit((unsigned char)*digits)) && str_number(text, &x) &&
        !strpbrk(text, "xXpP")) {
        const bool whole = strspn(digits, "0123456789") == strlen(digits);
        if (!whole || fabs(x) < 9e15)
            return whole ? json_integer((json_int_t)x) : json_number_or_word(x);
    }
    char *clean = str_clean(text, len);
    json_t *v = json_string(clean);
    free(clean);
    return v;
}

void mlflow_param(struct foreign_run *r, const char *key, const char *text, size_t len)
{
    char *name = str_clean(key, strlen(key));
    json_object_set_new(r->params, name, typed_param(text, len));
    free(name);
}

void mlflow_tag(struct foreign_run *r, const char *key, const char *text, size_t len)
{
    if (str_eq(key, "mlflow.note.content"))
        foreign_text(&r->note, text, len);
    else if (str_eq(key, "mlflow.runName"))
        foreign_text(&r->name, text, len);
    else
        foreign_tag(r, key, text, len);
}

bool mlflow_state(struct foreign_run *r, const char *status, bool goes_on)
{
    static const struct {
        const char *status;
        enum trial_state state;
    } ends[] = {{"FINISHED", TRIAL_complete},
                {"FAILED", TRIAL_failed},
                {"KILLED", TRIAL_cancelled}};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_eq(status, ends[i].status)) {
            r->state = ends[i].state;
            return true;
        }
    foreign_unsaid(r);
    return !(goes_on || str_eq(status, "SCHEDULED")) || !foreign_goes_on(r);
}
