/* EXPLAIN's questions under way. Control thread. */
#ifndef PROXY_CONTROL_EXPLAIN_H
#define PROXY_CONTROL_EXPLAIN_H

#include "proxy/base/attrs.h"

struct control;
struct explains;

PW_MUSTUSE struct explains *pw_explains_new(struct control *c);
void pw_explains_free(struct explains *all); /* ends what is under way */

#endif
