/* PROFILE START/STOP: what happened between two moments. Control thread. */
#ifndef PROXY_CONTROL_PROFILE_H
#define PROXY_CONTROL_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/admin/table.h"
#include "proxy/base/buf.h"

struct admin_call;
struct control;
struct families_snapshot;
struct http_call;
struct profile;
struct profile_desk;
struct profile_moment;

struct profile_desk *pw_profile_desk_new(void);
void pw_profile_desk_free(struct profile_desk *p); /* NULL is allowed */
/* SHOW STATE: "none", "running since ...", ... into out; returns it. */
char *pw_profile_desk_state(const struct profile_desk *p, char *out, size_t size);
/* show_profile.c: the commands and GET /profile */
void pw_show_register_profile(struct control *c);
void pw_profile_register_route(struct control *c);

/* ---- for show_profile.c ---- */
enum profile_format { PROFILE_TEXT, PROFILE_JSON, PROFILE_HTML };
bool pw_profile_format(const char *word, enum profile_format *out); /* any case */
/* These end the call. */
void pw_profile_desk_start(struct profile_desk *p, struct control *c, struct admin_call *call);
void pw_profile_desk_stop(struct profile_desk *p, struct control *c, struct admin_call *call,
                          enum profile_format format);
/* The newest finished profile; false: there is none. */
bool pw_profile_desk_render(struct profile_desk *p, enum profile_format format, struct buf *out);
/* One row per line. */
void pw_profile_finish(struct admin_call *call, const struct buf *text);

/* ---- profile_moment.c: the proxy's and the host's counters ---- */
struct profile_moment *pw_profile_moment_take(struct control *c);
void pw_profile_moment_free(struct profile_moment *m); /* NULL is allowed */
uint64_t pw_profile_moment_wall_us(const struct profile_moment *m);
/* Adds host, GPU and proxy readings and the curves of the window. */
void pw_profile_moment_add(struct profile *p, struct control *c, const struct profile_moment *from,
                           const struct profile_moment *to);
/* Adds each family's part of the window. */
void pw_profile_add_families(struct profile *p, struct control *c,
                             const struct families_snapshot *before,
                             const struct families_snapshot *after);

#endif
