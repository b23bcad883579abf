/* Shared by the files of this folder only. */
#ifndef PROXY_DISPATCH_DISPATCH_PRIV_H
#define PROXY_DISPATCH_DISPATCH_PRIV_H

#include "proxy/dispatch/dispatch.h"

/* request.c */
const struct plan_context *pw_client_plan_context(struct client *c);
void pw_client_undo_names(struct client *c, struct ticket *t, uint32_t from_op);
/* From the ticket's last operation on the client's name means stmt (takes over the reference; NULL:
 * nothing). */
void pw_client_set_name(struct client *c, struct ticket *t, struct slice name, struct stmt *stmt);

/* dealloc.c: DEALLOCATE as SQL. op, the ticket's last, executes sql, whose plan it is. */
void pw_dealloc_add(struct client *c, struct ticket *t, struct op *op, const struct plan *plan,
                    struct slice sql);
const char *pw_dealloc_name(const struct ticket *t,
                            const struct op *op); /* of DEALLOC_ONE: the client's name */
/* Does the request name prepared statements in SQL (PREPARE, EXECUTE) in a way that is not
 * translated? */
bool pw_dealloc_needs_names(const struct ticket *t);
/* ... or may it see them in pg_prepared_statements? */
bool pw_dealloc_shows_names(const struct ticket *t);

/* promote.c: the ticket's only message is the simple query sql, whose plan (which has
 * plan->prepared) was just got. Remembers the values of its literals. */
void pw_promote_note(struct client *c, struct ticket *t, const struct plan *plan, struct slice sql);

/* client.c */
void pw_client_pin(struct client *c, enum pin_reason reason);
void pw_client_set_pins(struct client *c,
                        uint32_t pins); /* PIN_BIT of each; 0: not pinned any more */
void pw_client_set_settings(struct client *c, struct settings *settings); /* takes the reference */
bool pw_client_keeps_server(const struct client *c);

/* assign.c */
void pw_dispatch_enqueue(struct dispatch *d,
                         struct ticket *t); /* at the back of its pool's queue */
void pw_dispatch_poke(struct dispatch *d, struct server_pool *p);
void pw_ticket_finish(struct dispatch *d,
                      struct ticket *t); /* answered: tells the client, frees it */
/* Ends the ticket and its session with an error of ours (text NULL: the client was told already).
 */
void pw_ticket_fail(struct dispatch *d, struct ticket *t, enum pw_status status, const char *text);
/* The same for one that was sent: what s still owes for it is nobody's any more and s closes. */
/* A queued request with its Sync gets an error in the server's stead, and the session goes on. */
void pw_ticket_refuse(struct dispatch *d, struct ticket *t, const char sqlstate[6],
                      const char *text);
void pw_ticket_fail_sent(struct dispatch *d, struct ticket *t, struct server *s,
                         enum pw_status status, const char *text);

/* stats.c: is this one of those whose own time is measured? The loop's clock stands still within a
 * turn. */
bool pw_stats_sampled(struct dispatch *d);
uint32_t pw_speed_us(const struct dispatch *d,
                     uint64_t family); /* a call on the server; 0: not known */

/* dedicated.c: replication connections */
void pw_dedicated_take(struct client *c, struct server *s); /* logged in: s is c's own now */
void pw_dedicated_on_input(struct server *s);

/* login.c */
void pw_login_wake(struct dispatch *d,
                   struct server_pool *p); /* those who wait for their turn to log in */
void pw_login_relay_ended(struct client *c);
void pw_cancel_running(struct dispatch *d,
                       struct server *s); /* what it executes now; s is about to be closed */

/* send.c: writes what is not sent yet of t to s and records what s owes for it. */
void pw_ticket_send(struct dispatch *d, struct ticket *t, struct server *s);
/* The server answered the settings replay that went before t. */
/* After a RESET: the server has its own defaults now, the session wants its login's. True: t goes
 * on when they are replayed (pw_ticket_replayed), false: nothing differs. */
bool pw_ticket_restore(struct dispatch *d, struct ticket *t, struct server *s);
void pw_ticket_end_reset(struct dispatch *d, struct ticket *t, struct server *s);
void pw_ticket_replayed(struct dispatch *d, struct ticket *t, struct server *s);
void pw_gate_passed(struct dispatch *d,
                    struct ticket *t); /* settings that went with it were taken */

void pw_welcome_learn(struct settings *set, const struct server *s); /* s is clean and has them */

/* probe.c: settings replay for a login */
void pw_probe_done(struct dispatch *d, struct ticket *t, struct server *s);

/* receive.c: pool callbacks */
void pw_ticket_complete(struct dispatch *d, struct ticket *t,
                        struct server *s); /* after its ReadyForQuery */
void pw_dispatch_on_input(struct server *s);
void pw_dispatch_on_lost(struct server *s, const char *reason);
void pw_server_unhold(struct dispatch *d,
                      struct server *s); /* the client let go: release, reset or close */

/* send.c, for streamed messages */
void pw_send_streamed_bind(struct dispatch *d, struct server *s, struct ticket *t, struct op *op,
                           struct slice head, uint32_t len, size_t used);
void pw_send_streamed_raw(struct server *s, struct ticket *t, struct op *op, struct slice head);

/* cancel.c */
void pw_cancel_after_replay(struct dispatch *d,
                            struct ticket *t); /* what had to wait for it is sent */
void pw_cancel_repeat(struct dispatch *d, struct server_pool *p); /* once a second */
void pw_cancel_forget(struct dispatch *d, struct server *s);      /* the server is closing */
void pw_cancel_close_all(struct dispatch *d);

/* effects.c */
void pw_effects_begin(struct dispatch *d, struct ticket *t); /* before it is forwarded */
/* Does it put settings back to defaults that differ from what the session logged in with? */
bool pw_effects_is_reset(const struct ticket *t);
void pw_effects_anything(
    struct dispatch *d,
    struct client *c); /* it may do anything from now on, until pw_effects_abort */
void pw_effects_progress(struct dispatch *d,
                         struct ticket *t); /* a CommandComplete is about to be forwarded */
void pw_effects_end(struct dispatch *d, struct ticket *t,
                    struct server *s); /* at its ReadyForQuery */
void pw_effects_abort(struct dispatch *d,
                      struct client *c); /* its transaction died with the connection */

bool pw_effects_has_written(const struct client *c); /* and its transaction has not ended yet */

/* leftover.c: what c, which is going, has written is t's now; NULL: its server connection was lost.
 */
void pw_leftover_take(struct dispatch *d, struct client *c, const struct ticket *t);
void pw_leftover_ended(struct dispatch *d, const struct ticket *t,
                       bool is_answered); /* t, without a client */
void pw_leftover_expire(struct dispatch *d,
                        uint64_t now_us); /* once in a while; UINT64_MAX: all that were lost */

/* unpin.c: is what pinned the session undone? */
enum { /* what the server can be asked about */
       PINS_UNDONE = PIN_BIT(PIN_TEMP_TABLE) | PIN_BIT(PIN_LISTEN) | PIN_BIT(PIN_ADVISORY_LOCK) |
                     PIN_BIT(PIN_SQL_PREPARE) | PIN_BIT(PIN_HOLD_CURSOR)
};
/* At t's ReadyForQuery, after pw_effects_end: is it worth asking now? Then the ReadyForQuery is
 * held back. */
bool pw_unpin_is_due(const struct ticket *t, const struct server *s);
void pw_unpin_ask(struct dispatch *d, struct ticket *t, struct server *s);
void pw_unpin_row(struct ticket *t, struct slice body); /* the answer's DataRow */
void pw_unpin_answered(struct dispatch *d, struct ticket *t,
                       struct server *s); /* its ReadyForQuery: t is complete */

/* lookup.c: the cache */
bool pw_lookup_try_hit(struct dispatch *d, struct ticket *t);    /* answered from the cache? */
void pw_lookup_begin_fill(struct dispatch *d, struct ticket *t); /* just before it is sent */
void pw_lookup_commit(struct dispatch *d, struct ticket *t);

/* flight.c: single flight */
bool pw_flight_join(struct dispatch *d, struct ticket *t); /* true: it waits for another's reply */
void pw_flight_sent(struct dispatch *d,
                    struct ticket *t); /* the leader leaves: nobody may join any more */
bool pw_flight_is_recording(const struct ticket *t);
void pw_flight_message(struct ticket *t, uint8_t type, struct slice part, bool first_part);
void pw_flight_spoil(struct ticket *t);                    /* its reply cannot be shared */
void pw_flight_done(struct dispatch *d, struct ticket *t); /* serves or re-queues the followers */
bool pw_flight_has_followers(const struct ticket *t);
void pw_flight_leave(struct dispatch *d, struct ticket *t); /* a follower goes away */

/* reply.c: a whole known reply to one ticket */
struct reply_parts {
    struct slice description, rows, tag;      /* whole messages; description empty: not known */
    struct rcbuf *description_ref, *rows_ref; /* when set, sent by reference */
    uint64_t n_rows;
};
/* What of a reply the ticket's messages ask for. */
struct reply_shape {
    bool cacheable; /* the messages are a plain Query or [Parse] Bind [Describe portal] Execute Sync
                     */
    bool has_parse, has_describe, is_extended;
    const struct op *bind;
    struct stmt *stmt; /* BORROW; extended only */
};
void pw_reply_shape(const struct ticket *t, struct reply_shape *shape);
void pw_reply_write(struct client *c, const struct reply_shape *shape,
                    const struct reply_parts *parts);
/* Identity of the request's answer, into t->key (rule 2); false: it has none. */
bool pw_reply_key(struct dispatch *d, struct ticket *t, const struct reply_shape *shape);

/* stats.c */
void pw_sample_offer(struct dispatch *d, const struct ticket *t, uint64_t now_us); /* sample.c */
void pw_stats_done(struct dispatch *d, struct ticket *t);
bool pw_speed_is_fast(const struct dispatch *d, uint64_t family);
void pw_speed_record(struct dispatch *d, uint64_t family, uint64_t server_us);

#endif
