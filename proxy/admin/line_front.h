/*
 * The telnet-style console: a command is a line, an answer ends with an empty line, an error is one
 * line that starts with "ERROR: ". Listens on a TCP address and a Unix socket. Loopback and the
 * Unix socket need no password unless auth_always; from elsewhere AUTH user password comes first.
 * Thread: the control loop's; that loop must call pw_loop_tick and pw_loop_flush every turn.
 */
#ifndef PROXY_ADMIN_LINE_FRONT_H
#define PROXY_ADMIN_LINE_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/admin/admin.h"
#include "proxy/base/status.h"
#include "proxy/net/loop.h"

struct line_front;

enum {
    PW_LINE_SESSIONS_MAX = 16,
    PW_LINE_LOGIN_TRIES = 3,
    PW_LINE_IDLE_S = 600, /* on TCP; the Unix socket has no idle timeout */
};

struct line_front_options {
    struct admin *admin;     /* BORROW */
    struct net_loop *loop;   /* BORROW */
    const char *address;     /* "host:port"; "" or NULL: none. BORROW during the call */
    const char *socket_path; /* "" or NULL: none. BORROW during the call */
    bool auth_always;        /* pgweir.admin_auth */
    uint64_t idle_us;        /* 0: PW_LINE_IDLE_S */
    /* Decides about AUTH; NULL: nobody can log in. Must take the same time for any answer. */
    bool (*check_login)(void *arg, const char *user, const char *password, enum admin_level *level);
    void *arg; /* BORROW */
};

/* On failure *error is OWN by the caller and says which address and why. */
PW_MUSTUSE enum pw_status pw_line_front_new(const struct line_front_options *options,
                                            struct line_front **out, char **error);
int pw_line_front_port(const struct line_front *f);                  /* 0 without a TCP address */
void pw_line_front_set_auth(struct line_front *f, bool auth_always); /* reload; new sessions */
size_t pw_line_front_sessions(const struct line_front *f);
/* Closes the listeners and every session; on_closed (may be NULL) when all is released. */
void pw_line_front_close(struct line_front *f, void (*on_closed)(void *arg), void *arg);

#endif
