/* Shared by the files of this folder only. */
#ifndef PROXY_SESSION_SESSION_PRIV_H
#define PROXY_SESSION_SESSION_PRIV_H

#include "proxy/dispatch/login.h"
#include "proxy/session/derive.h"
#include "proxy/session/refusal.h"
#include "proxy/session/session.h"
#include "proxy/wire/client_auth.h"

/* How this client has to prove who it is: by auth.type, or by the first rule of auth.hba_file that
 * matches. */
enum demand {
    DEMAND_UPSTREAM,
    DEMAND_TRUST,
    DEMAND_CERT,
    DEMAND_PASSWORD,
    DEMAND_MD5,
    DEMAND_SCRAM
};

/* What a session needs until it is READY. */
struct login {
    struct session *session; /* BACK */
    struct client_auth auth;
    enum demand demand;
    size_t hba_line; /* the rule of auth.hba_file; 0: none */
    struct derive_waiter derive;
    bool auth_active, secret_pending, relaying, tls_done, tls_up;
    bool roles_asked, roles_done, roles_known; /* for a rule's +role */
    bool is_walsender;                         /* replication=true: physical replication */
    bool ruled;                                /* demand comes from auth.hba_file */
    bool client_turn;                          /* while relaying: the client's answer comes next */
    bool relay_asked; /* the server has asked the client for a proof that the demand allows */
    enum lookup found;
    char *roles; /* OWN; see secret_answer */
    size_t roles_len;
    char *roles_why;       /* OWN; why they are not known; or NULL */
    char *secret;          /* OWN */
    char *why;             /* OWN; why there is no secret, for the log */
    char *strange_options; /* OWN; startup options that we cannot carry over: the server says what
                              is wrong */
    enum server_dedicated
        dedicated; /* a replication connection: it gets a server connection of its own */
    struct buf
        server_params; /* OWN; for that connection's StartupMessage: name NUL value NUL ... */
    struct settings *settings; /* REF: from the start-up packet */
    struct server_pool *pool;  /* BORROW */
    char app_name[64];
    struct buf out;
};

/* WAIT: until an event marks the session again. AGAIN: call the state's function again now. */
enum step { STEP_WAIT, STEP_AGAIN, STEP_CLOSED };

void pw_session_enter(struct session *s, enum session_state to);
void pw_session_close(struct session *s, bool flush);
void pw_session_arm(struct session *s, uint64_t limit_us); /* 0: no deadline */
void pw_session_arm_idle(struct session *s); /* the client's turn, by its database's timeouts */
void pw_session_count_failure(struct session *s, enum pw_status status);
void pw_login_end(struct session *s); /* frees what only the login needed */

enum step pw_startup_run(struct session *s); /* startup.c */
enum step pw_tls_run(struct session *s);
enum step pw_auth_run(struct session *s);                /* auth.c */
enum decision { DECIDED, DECIDE_REFUSED, DECIDE_ROLES }; /* ROLES: they have to be known first */
enum decision pw_demand_decide(struct session *s);       /* demand.c */
void pw_auth_begin(struct session *s);
void pw_auth_granted(struct session *s);
enum step pw_welcome_run(struct session *s);  /* welcome.c */
enum step pw_ready_step(struct session *s);   /* ready.c */
enum step pw_relay_run(struct session *s);    /* replication.c */
void pw_replication_begin(struct session *s); /* authenticated: get the server connection */
void pw_replication_on_connected(struct session *s, bool ok, const char *text, struct slice error);
enum step pw_admin_run(struct session *s); /* console.c */
void pw_console_begin(struct session *s);

void pw_auth_on_relay(struct session *s, struct slice message);
void pw_auth_on_turn(struct session *s); /* a login that had to wait may decide again */
void pw_auth_on_relay_done(struct session *s, bool ok, bool authenticated, const char *text,
                           struct slice error);
void pw_welcome_on_probe(struct session *s, bool ok, struct slice error);
void pw_welcome_begin(struct session *s);

#endif
