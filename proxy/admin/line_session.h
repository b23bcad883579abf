/* What line_front.c (listening) and line_session.c (talking) share. */
#ifndef PROXY_ADMIN_LINE_SESSION_H
#define PROXY_ADMIN_LINE_SESSION_H

#include "proxy/admin/line_front.h"

struct listener;

struct line_front {
    struct admin *admin;   /* BORROW */
    struct net_loop *loop; /* BORROW */
    bool auth_always, closing;
    uint64_t idle_us;
    bool (*check_login)(void *arg, const char *user, const char *password, enum admin_level *level);
    void *arg;             /* BORROW */
    struct listener *tcp;  /* OWN */
    struct listener *pipe; /* OWN */
    char *path;            /* OWN; of the Unix socket */
    int port;
    struct list sessions; /* OWN */
    void (*on_closed)(void *arg);
    void *on_closed_arg; /* BORROW */
};

void pw_line_session_accept(struct line_front *f, uv_stream_t *handle, bool is_pipe);
void pw_line_session_close_all(struct line_front *f);
void pw_line_front_released(struct line_front *f); /* a session is gone: was it the last? */

#endif
