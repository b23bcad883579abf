/*
 * One connection to the line console. Owns its stream, its line and the place of the command it
 * waits for: one at a time; what comes meanwhile stays in the stream. Released when the stream has
 * closed. Control thread.
 */
#include "proxy/admin/line_session.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proxy/admin/line_reader.h"
#include "proxy/admin/parse.h"
#include "proxy/base/alloc.h"
#include "proxy/base/log.h"
#include "proxy/net/stream.h"

enum { ANSWER_MAX = 32 * 1024 * 1024 };

struct line_session {
    struct stream stream;
    struct list_node link;
    struct line_front *front; /* BORROW */
    struct wheel_timer idle;
    struct line_reader reader;
    struct slice rest;       /* of reader.text: statements not run yet */
    struct admin_call *call; /* BORROW from admin; the command in flight */
    char user[64], source[80];
    enum admin_level level;
    enum admin_format format; /* of every answer, until FORMAT says otherwise */
    bool logged_in, has_timeout, closing, eof;
    int tries;
};

static struct line_session *of_stream(struct stream *s)
{
    return PW_CONTAINER_OF(s, struct line_session, stream);
}

static void say(struct line_session *s, const char *text)
{
    pw_stream_write(&s->stream, text, strlen(text));
}

static void prompt(struct line_session *s)
{
    say(s, "pgweir> ");
}

static void end_session(struct line_session *s, bool flush)
{
    if (s->closing)
        return;
    s->closing = true;
    pw_wheel_cancel(&s->front->loop->wheel, &s->idle);
    if (s->call)
        pw_admin_detach(s->call);
    s->call = NULL;
    pw_stream_close(&s->stream, flush);
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* Text with its line ends, except empty lines: those end an answer. */
static void put_lines(struct buf *out, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        pw_buf_append(out, len ? text : " ", len ? len : 1);
        pw_buf_append_u8(out, '\n');
        text += len;
        text += *text == '\n';
    }
}

static void put_error(struct buf *out, const char *error, const char *hint)
{
    size_t start = out->len, len = strlen(error);
    bool ends = len && strchr(".?!", error[len - 1]);
    pw_buf_printf(out, "ERROR: %s%s%s", error, !hint ? "" : ends ? " " : ". ", hint ? hint : "");
    for (size_t i = start; i < out->len; i++)
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
    pw_buf_append_u8(out, '\n');
}

static void put_answer(struct buf *out, const struct admin_result *r)
{
    if (r->error) {
        put_error(out, r->error, r->hint);
        return;
    }
    if (r->notice)
        put_lines(out, r->notice);
    if (r->table && r->format == ADMIN_FORMAT_JSON)
        pw_table_render_json_lines(r->table, out);
    else if (r->table)
        pw_table_render_text(r->table, out);
    if (!r->notice && !r->table)
        pw_buf_append_str(out, "OK\n");
}

static void send_answer(struct line_session *s, const struct admin_result *r)
{
    struct buf out;
    pw_buf_init(&out, ANSWER_MAX);
    put_answer(&out, r);
    if (out.failed) {
        pw_buf_reset(&out);
        put_error(&out, "the answer is too long for this console", NULL);
    }
    pw_buf_append_u8(&out, '\n');
    pw_stream_write(&s->stream, out.data, out.len);
    pw_buf_free(&out);
}

static void send_error(struct line_session *s, const char *error)
{
    char text[160];
    snprintf(text, sizeof text, "ERROR: %s\n\n", error);
    say(s, text);
}

/* ---- statements -------------------------------------------------------------------------------
 */

static void advance(struct line_session *s);

static void on_finished(struct admin_call *call, void *owner)
{
    struct line_session *s = owner;
    bool later = s->call != NULL;
    s->call = NULL;
    send_answer(s, &call->result);
    if (!later)
        return; /* run_statement's caller goes on */
    if (pw_admin_trim(s->rest).len == 0)
        prompt(s);
    advance(s);
}

static void log_in(struct line_session *s, const struct admin_tokens *tokens)
{
    char user[PW_ADMIN_LINE_MAX + 1], password[PW_ADMIN_LINE_MAX + 1];
    struct line_front *f = s->front;
    if (tokens->n != 3 || tokens->open_quote) {
        send_error(s, "AUTH wants a user and a password");
        return;
    }
    user[pw_admin_unquote(&tokens->items[1], user)] = '\0';
    password[pw_admin_unquote(&tokens->items[2], password)] = '\0';
    bool ok = f->check_login && f->check_login(f->arg, user, password, &s->level);
    explicit_bzero(password, sizeof password);
    explicit_bzero(s->reader.text, sizeof s->reader.text);
    s->rest = pw_slice("", 0);
    s->logged_in = ok;
    pw_log_info("console event=%s user=%.63s source=%s", ok ? "login" : "login_failed", user,
                s->source);
    if (ok) {
        snprintf(s->user, sizeof s->user, "%.63s", user);
        say(s, "OK\n\n");
        return;
    }
    send_error(s, "wrong user or password");
    if (++s->tries >= PW_LINE_LOGIN_TRIES)
        end_session(s, true);
}

static bool is_quit(const struct admin_tokens *t)
{
    return t->n == 1 &&
           (pw_admin_token_is(&t->items[0], "QUIT") || pw_admin_token_is(&t->items[0], "EXIT") ||
            pw_admin_token_is(&t->items[0], "\\q"));
}

/* FORMAT JSON or TEXT, for what follows. */
static void set_format(struct line_session *s, const struct admin_tokens *tokens)
{
    bool json = tokens->n == 2 && pw_admin_token_is(&tokens->items[1], "JSON");
    if (!json && (tokens->n != 2 || !pw_admin_token_is(&tokens->items[1], "TEXT"))) {
        send_error(s, "FORMAT wants JSON or TEXT");
        return;
    }
    s->format = json ? ADMIN_FORMAT_JSON : ADMIN_FORMAT_TEXT;
    say(s, "OK\n\n");
}

static void run_statement(struct line_session *s, struct slice text)
{
    struct admin_tokens tokens;
    pw_admin_tokenize(text, &tokens);
    if (is_quit(&tokens)) {
        end_session(s, true);
    } else if (tokens.n && pw_admin_token_is(&tokens.items[0], "AUTH")) {
        log_in(s, &tokens);
    } else if (!s->logged_in) {
        send_error(s, "log in first: AUTH user password");
    } else if (tokens.n && pw_admin_token_is(&tokens.items[0], "FORMAT")) {
        set_format(s, &tokens);
    } else if (tokens.n || tokens.open_quote) {
        const struct admin_request request = {.text = text,
                                              .level = s->level,
                                              .format = s->format,
                                              .user = s->user,
                                              .source = s->source};
        s->call = pw_admin_start(s->front->admin, &request, on_finished, s);
    }
}

/* ---- lines ------------------------------------------------------------------------------------
 */

/* A browser was tricked into sending us a request: what follows its headers is not from a person
 * (cross-protocol scripting). No command of ours looks like this. */
static bool is_http(struct slice line)
{
    static const char *const starts[] = {"GET /",    "POST /",    "HEAD /",    "PUT /",
                                         "DELETE /", "OPTIONS /", "PATCH /",   "OPTIONS *",
                                         "TRACE /",  "CONNECT ",  "Host:",     "POST http",
                                         "GET http", "Content-",  "PRI * HTTP"};
    for (size_t i = 0; i < PW_COUNT_OF(starts); i++) {
        size_t len = strlen(starts[i]);
        if (line.len >= len && strncasecmp(line.ptr, starts[i], len) == 0)
            return true;
    }
    return false;
}

static void take_line(struct line_session *s, enum line_event what)
{
    struct slice line = pw_admin_trim(pw_slice(s->reader.text, s->reader.len));
    if (what == LINE_END) {
        end_session(s, true);
    } else if (what == LINE_TOO_LONG) {
        send_error(s, "the line is too long");
        prompt(s);
    } else if (is_http(line)) {
        pw_log_warn("console event=http_request source=%s action=close", s->source);
        end_session(s, false);
    } else if (line.len == 0) {
        prompt(s);
    } else {
        s->rest = line;
    }
}

/* Works through what has come, until a command takes its time or nothing is left. */
static void advance(struct line_session *s)
{
    while (!s->closing && !s->call && !pw_stream_is_congested(&s->stream)) {
        struct slice statement, input;
        if (pw_admin_next_statement(&s->rest, &statement)) {
            run_statement(s, statement);
            if (!s->closing && !s->call && pw_admin_trim(s->rest).len == 0)
                prompt(s);
            continue;
        }
        enum line_event what;
        input = pw_stream_input(&s->stream);
        if (input.len)
            pw_stream_consume(&s->stream, pw_line_feed(&s->reader, input, &what));
        else if (s->eof && s->reader.len && !s->reader.done) /* a last line without its end */
            pw_line_feed(&s->reader, PW_SLICE_LIT("\n"), &what);
        else
            break;
        if (what != LINE_NONE)
            take_line(s, what);
    }
    if (s->eof && !s->call && !pw_stream_is_congested(&s->stream))
        end_session(s, true); /* a script piped its commands and waits for the answers */
}

/* ---- life -------------------------------------------------------------------------------------
 */

static void on_event(struct stream *stream, enum stream_event what)
{
    struct line_session *s = of_stream(stream);
    switch (what) {
    case STREAM_ERROR:
        end_session(s, false);
        return;
    case STREAM_EOF:
        s->eof = true;
        break;
    default:
        break;
    }
    if (s->has_timeout && !s->closing)
        pw_wheel_set(&s->front->loop->wheel, &s->idle, s->front->loop->now_us + s->front->idle_us);
    advance(s);
}

static void on_stream_closed(struct stream *stream)
{
    struct line_session *s = of_stream(stream);
    struct line_front *f = s->front;
    pw_list_remove(&f->sessions, &s->link);
    pw_free(s);
    pw_line_front_released(f);
}

static const struct stream_callbacks callbacks = {on_event, on_stream_closed};

static void on_idle(struct wheel_timer *t)
{
    struct line_session *s = PW_CONTAINER_OF(t, struct line_session, idle);
    if (s->call) { /* the command takes its time, the person does not */
        pw_wheel_set(&s->front->loop->wheel, t, s->front->loop->now_us + s->front->idle_us);
        return;
    }
    say(s, "ERROR: idle for too long\n\n");
    end_session(s, true);
}

static bool is_local(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strncmp(host, "::ffff:127.", 11) == 0;
}

static void greet(struct line_session *s, bool is_pipe)
{
    char host[64] = "unix";
    int port = 0;
    if (!is_pipe)
        pw_stream_peer(&s->stream, host, sizeof host, &port);
    snprintf(s->source, sizeof s->source, "%s:%d", host, port);
    snprintf(s->user, sizeof s->user, "%s", is_pipe ? "unix" : "local");
    s->logged_in = !s->front->auth_always && (is_pipe || is_local(host));
    s->level = ADMIN_ADMIN; /* until AUTH says otherwise; means nothing before logged_in */
    say(s, "pgweir " PW_VERSION " console. HELP lists the commands, QUIT ends.\n");
    if (!s->logged_in)
        say(s, "Log in with AUTH user password.\n");
    say(s, "\n");
    prompt(s);
}

void pw_line_session_accept(struct line_front *f, uv_stream_t *handle, bool is_pipe)
{
    bool full = f->sessions.count >= PW_LINE_SESSIONS_MAX;
    struct line_session *s = pw_alloc(sizeof *s);
    s->front = f;
    s->rest = pw_slice("", 0);
    pw_wheel_timer_init(&s->idle, on_idle);
    if (pw_stream_accept(&s->stream, f->loop, handle, is_pipe, &callbacks) != PW_OK) {
        pw_free(s);
        return;
    }
    pw_list_push_back(&f->sessions, &s->link);
    if (full) {
        say(s, "ERROR: too many console sessions\n\n");
        end_session(s, true);
        return;
    }
    s->has_timeout = !is_pipe;
    if (s->has_timeout)
        pw_wheel_set(&f->loop->wheel, &s->idle, f->loop->now_us + f->idle_us);
    greet(s, is_pipe);
}

void pw_line_session_close_all(struct line_front *f)
{
    PW_LIST_FOR(&f->sessions, it, tmp)
    end_session(PW_LIST_ENTRY(it, struct line_session, link), true);
}
