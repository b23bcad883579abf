/*
 * Refusing a login: one place writes the client's error and the log line, so that each says which
 * leg failed, for whom, and the next step. The kinds are the rows of refusals.def. Worker's thread.
 */
#ifndef PROXY_SESSION_REFUSAL_H
#define PROXY_SESSION_REFUSAL_H

#include "proxy/base/slice.h"
#include "proxy/session/session.h"

enum refusal {
#define REFUSAL(name, leg, status, next) REFUSED_##name,
#include "proxy/session/refusals.def"
#undef REFUSAL
    REFUSED_COUNT
};

/* Sends the FATAL, logs, closes. text is what PostgreSQL would say where it has a word for it;
 * NULL: the status's own. why: for the log only, what the client must not learn; NULL: nothing to
 * add. */
void pw_refuse(struct session *s, enum refusal kind, const char *text, const char *why);
/* The same with the server's own error (an ErrorResponse's body): its fields stay, DETAIL and HINT
 * are added to; where it is about a setting that the client sent, it is passed on as it is. */
void pw_refuse_as_server(struct session *s, struct slice error, const char *text);
/* auth.login_timeout is over: whose turn was it? */
void pw_refuse_late(struct session *s);

#endif
