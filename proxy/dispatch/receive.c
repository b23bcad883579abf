/*
 * A server's messages to whom they belong. Most bytes are passed on as they came, in runs as long
 * as possible; each message's header decides. Whatever the server says that was not asked for makes
 * the connection unclean (it is closed), never another client's problem.
 */

#include "proxy/dispatch/receive_priv.h"
#include "proxy/wire/back.h"

enum {
    MESSAGES_PER_TURN = 4096,
    WHOLE_MAX =
        1 << 20, /* longest message that is looked into; longer ones of these types are refused */
};

static struct dispatch *dispatch_of(struct server *s)
{
    return PW_CONTAINER_OF(s->pool->env, struct dispatch, env);
}

static struct client *client_of(const struct intake *r)
{
    return r->to ? r->to->client : r->s->holder;
}

void pw_intake_flush(struct intake *r)
{
    if (r->run == 0)
        return;
    struct client *c = client_of(r);
    pw_stat_add(&r->s->pool->stats->received, r->run);
    if (r->to) {
        r->to->replied = true;
        r->to->bytes_out += r->run;
    }
    if (c)
        pw_stream_forward(&r->s->stream, r->run, c->stream);
    else
        pw_stream_consume(&r->s->stream, r->run);
    r->run = 0;
}

/* ---- the expect FIFO */

struct expect pw_intake_pop(struct server *s)
{
    struct expect e = pw_expect_pop(&s->expects);
    if (e.ticket)
        ((struct ticket *)e.ticket)->in_fifo--;
    return e;
}

static struct slice unread(const struct intake *r)
{
    struct slice all = pw_stream_input(&r->s->stream);
    return pw_slice(all.ptr + r->run, all.len - r->run);
}

/* Answers of our own wait for the server's next one, so that they travel together, unless the
 * client may wait for just these (Flush). */
static bool is_due(const struct intake *r, const struct expect *e)
{
    const struct ticket *t = e->ticket;
    struct slice next = unread(r);
    if (next.len == 0)
        return !t->has_sync;
    return !(t->promoted && next.ptr[0] == BACK_ERROR_RESPONSE); /* see pw_promote_refused() */
}

/* The request at the head was given up (pw_ticket_fail_sent): what the server says from now on has
 * no owner, and what it says to those behind is not trusted. */
static bool is_given_up(struct server *s)
{
    const struct expect *e = pw_expect_head(&s->expects);
    return e && !e->ticket;
}

static void run_fakes(struct intake *r)
{
    struct expect *e;
    while ((e = pw_expect_head(&r->s->expects)) && e->ticket && e->action == EXPECT_FAKE &&
           is_due(r, e)) {
        static const char complete[2][5] = {{'1', 0, 0, 0, 4}, {'3', 0, 0, 0, 4}};
        struct expect done = pw_intake_pop(r->s);
        struct ticket *t = done.ticket;
        pw_intake_flush(r);
        if (t->client) {
            t->replied = true;
            pw_stream_write(t->client->stream, complete[done.kind == EXPECT_CLOSE], 5);
        }
        pw_stmt_unref(done.stmt);
    }
}

void pw_ticket_complete(struct dispatch *d, struct ticket *t, struct server *s)
{
    s->in_flight--;
    t->server = NULL;
    uint64_t server_us = d->env.loop->now_us - t->sent_us;
    pw_stat_add(&s->pool->stats->query_us, server_us);
    pw_metric_add(d->env.metrics, PW_METRIC_SERVER_TIME, server_us);
    if (!t->failed)
        pw_lookup_commit(d, t);
    if (t->n_plans == 1 && !t->failed)
        pw_speed_record(d, t->plans[0]->family, server_us);
    pw_flight_done(d, t);
    s->sent_us = d->env.loop->now_us; /* the next one in the pipeline starts now */
    struct client *c = t->client;
    bool keep = c && c->server == s && (pw_client_keeps_server(c) || s->txn != 'I');
    if (!keep && c && c->server == s)
        c->server = NULL;
    if (!keep && s->holder == c)
        s->holder = NULL;
    pw_ticket_finish(d, t);
    if (!keep && s->in_flight == 0)
        pw_server_unhold(d, s);
}

static void record(struct ticket *t, uint8_t type, struct slice part, bool first_part)
{
    bool ok = true;
    if (t->fill) {
        if (type == BACK_DATA_ROW)
            ok = pw_cache_fill_rows(t->fill, part);
        else if (type == BACK_ROW_DESCRIPTION)
            ok = pw_cache_fill_description(t->fill, part);
        else if (type == BACK_COMMAND_COMPLETE)
            ok = pw_cache_fill_tag(t->fill, part);
        else if (type != BACK_PARSE_COMPLETE && type != BACK_BIND_COMPLETE &&
                 type != BACK_READY_FOR_QUERY)
            ok = false;
        if (!ok) {
            pw_cache_fill_abandon(t->fill);
            t->fill = NULL;
        }
    }
    if (t->flight)
        pw_flight_message(t, type, part, first_part);
}

static bool is_streamed(uint8_t type)
{
    return type == BACK_DATA_ROW || type == BACK_COPY_DATA || type == BACK_FUNCTION_CALL_RESPONSE;
}

/* Bytes of a long message whose head was judged before. */
static bool pass_rest(struct intake *r)
{
    struct server *s = r->s;
    struct slice in = pw_stream_input(&s->stream);
    size_t n = in.len < s->body_left ? in.len : (size_t)s->body_left;
    if (n == 0)
        return false;
    struct expect *e = pw_expect_head(&s->expects);
    r->to = e ? e->ticket : NULL;
    if (s->body_forward && r->to)
        record(r->to, BACK_DATA_ROW, pw_slice(in.ptr, n), false);
    s->body_left -= n;
    if (s->body_forward) {
        r->run = n;
        pw_intake_flush(r);
    } else {
        pw_stream_consume(&s->stream, n);
    }
    return s->body_left == 0;
}

static void after_ready(struct intake *r, struct ticket *t)
{
    struct server *s = r->s;
    bool open_block = s->txn != 'I' && s->pool->db->pool_mode == CONF_POOL_STATEMENT;
    if (open_block && r->then != THEN_REPLAYED) /* a multi-statement query got around the check */
        pw_ticket_fail_sent(r->d, t, s, PW_STATEMENT_MODE_TXN,
                            pw_status_text(PW_STATEMENT_MODE_TXN));
    else if (r->then == THEN_COMPLETE)
        pw_ticket_complete(r->d, t, s);
    else if (r->then == THEN_ASK)
        pw_unpin_ask(r->d, t, s);
    else if (r->then == THEN_ANSWERED)
        pw_unpin_answered(r->d, t, s);
    else if (r->then == THEN_REPLAYED)
        pw_ticket_replayed(r->d, t, s);
    else if (r->then == THEN_AGAIN)
        pw_promote_again(r->d, t, s);
    else if (t->failed || s->txn == 'E' || !pw_ticket_restore(r->d, t, s))
        pw_ticket_end_reset(r->d, t, s);
    r->then = THEN_NOTHING;
}

/* The common case, made short: whole rows that nobody records lengthen the run, and only their
 * headers are read. */
static bool pass_rows(struct intake *r)
{
    struct expect *e = pw_expect_head(&r->s->expects);
    if (!e || e->action != EXPECT_FORWARD || (e->kind != EXPECT_EXECUTE && e->kind != EXPECT_QUERY))
        return false;
    struct ticket *t = e->ticket;
    if (!t || t->fill || t->flight)
        return false;
    if (r->run && t != r->to)
        pw_intake_flush(r);
    struct slice in = unread(r);
    size_t n = 0;
    while (in.len - n >= FRAME_HEADER &&
           (in.ptr[n] == BACK_DATA_ROW ||
            (in.ptr[n] == BACK_ROW_DESCRIPTION && e->kind == EXPECT_QUERY))) {
        uint32_t len = pw_load_u32(in.ptr + n + 1);
        if (len < 4 || len > in.len - n - 1)
            break; /* not whole, or wrong: read_one() knows */
        n += len + 1;
    }
    r->to = t;
    r->run += n;
    return n > 0;
}

/* One message at the end of the run. False: stop reading for now. */
static bool read_one(struct intake *r, bool *broken)
{
    struct server *s = r->s;
    if (is_given_up(s))
        return false;
    run_fakes(r);
    if (pass_rows(r))
        return true;
    struct slice in = unread(r);
    struct frame f;
    enum frame_result got = pw_frame_peek_back(in, &f);
    if (got == FRAME_MORE)
        return false;
    if (got == FRAME_BAD) {
        *broken = true;
        return false;
    }
    bool whole = pw_frame_complete(in, &f);
    if (!whole && !(is_streamed(f.type) && in.len >= 4096)) {
        pw_intake_flush(r);
        if (f.len > WHOLE_MAX && !is_streamed(f.type))
            *broken = true;
        else if (!pw_stream_want(&s->stream, f.len < 8192 || !is_streamed(f.type) ? f.len : 8192))
            *broken = true;
        return false;
    }
    struct expect *e = pw_expect_head(&s->expects);
    struct ticket *t = e ? e->ticket : NULL;
    if (r->run && t != r->to)
        pw_intake_flush(r);
    if (r->run == 0) {
        r->to = t;
        in = pw_stream_input(&s->stream);
    }
    bool forward_now = e && e->action == EXPECT_FORWARD;
    size_t here = whole ? f.len : in.len;
    enum verdict v = pw_answer_message(r, &f, pw_slice(in.ptr + FRAME_HEADER, here - FRAME_HEADER));
    if (v == BROKEN) {
        *broken = true;
        return false;
    }
    if (v == PASS && t && forward_now && (t->fill || t->flight))
        record(t, f.type, pw_slice(in.ptr, here), true);
    if (v == PASS) {
        r->run += here;
    } else {
        pw_intake_flush(r);
        pw_stream_consume(&s->stream, here);
    }
    if (!whole) {
        s->body_left = f.len - here;
        s->body_forward = v == PASS;
        pw_intake_flush(r);
        return true;
    }
    if (r->then != THEN_NOTHING) {
        pw_intake_flush(r);
        after_ready(r, t);
        return s->state == SERVER_ACTIVE;
    }
    if (f.type == BACK_COPY_IN_RESPONSE && t && t->client) {
        pw_intake_flush(r);
        t->client->sink->on_copy_in(t->client);
    }
    return true;
}

/* Somebody reads too slowly: leave the rest with the kernel until there is room. */
static bool receiver_is_congested(struct server *s)
{
    struct expect *e = pw_expect_head(&s->expects);
    struct ticket *t = e ? e->ticket : NULL;
    struct client *c = t ? t->client : s->holder;
    bool congested = c && pw_stream_is_congested(c->stream);
    if (congested && !s->paused)
        pw_stream_pause(&s->stream);
    else if (!congested && s->paused)
        pw_stream_resume(&s->stream);
    s->paused = congested;
    return congested;
}

void pw_dispatch_on_input(struct server *s)
{
    struct intake r = {.d = dispatch_of(s), .s = s};
    bool broken = false;
    int budget = MESSAGES_PER_TURN;
    run_fakes(&r);
    while (budget > 0 && s->state == SERVER_ACTIVE) {
        budget--;
        if (r.run == 0 && receiver_is_congested(s))
            return;
        if (s->body_left ? !pass_rest(&r) : !read_one(&r, &broken))
            break;
    }
    if (s->state != SERVER_ACTIVE)
        return;
    pw_intake_flush(&r);
    run_fakes(&r);
    bool more = budget == 0 && !broken;
    if (more)
        pw_server_mark(s);
    if (broken || s->broken || (s->eof && !more))
        pw_server_close(s, broken ? "the server broke the protocol"
                                  : "server closed the connection unexpectedly");
}
