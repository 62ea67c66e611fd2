/* cli/libraries.h - the libraries of others that the program is linked with. */
#ifndef CLI_LIBRARIES_H
#define CLI_LIBRARIES_H

#include <jansson.h>

/* {name: version}, as each says of itself while the program runs. */
json_t *libraries_linked(void);

#endif
