/* A session on the console's database: psql and exporters. Commands run on the control thread. */
#include <string.h>

#include "proxy/admin/psql_front.h"
#include "proxy/session/session_priv.h"
#include "proxy/wire/emit.h"

enum { CONSOLE_OUT_MAX = 64 << 20 };

static void on_command(void *arg, struct slice text)
{
    struct session *s = arg;
    s->env->run_command(s->env->arg, s, text, s->is_admin);
}

void pw_console_begin(struct session *s)
{
    static const char *const params[][2] = {
        {"server_version", PW_PSQL_SERVER_VERSION},
        {"server_encoding", "UTF8"},
        {"client_encoding", "UTF8"},
        {"DateStyle", "ISO, MDY"},
        {"TimeZone", "UTC"},
        {"IntervalStyle", "postgres"},
        {"integer_datetimes", "on"},
        {"standard_conforming_strings", "on"},
        {"is_superuser", "off"},
        {"application_name", ""},
    };
    struct buf out;
    pw_buf_init(&out, 1 << 14);
    for (size_t i = 0; i < PW_COUNT_OF(params); i++)
        pw_emit_parameter_status(&out, pw_slice_str(params[i][0]), pw_slice_str(params[i][1]));
    pw_emit_backend_key(&out, s->cancel_pid, pw_slice((const char *)s->cancel_key, 4));
    pw_emit_ready(&out, 'I');
    pw_stream_write(&s->stream, out.data, out.len);
    pw_buf_free(&out);
    s->front = pw_psql_front_new(s->env->admin, s->user, s->database, on_command, s);
    pw_login_end(s);
    pw_session_arm(s, 0);
}

static enum step answer(struct session *s, enum pw_status st, struct buf *out)
{
    if (out->len)
        pw_stream_write(&s->stream, out->data, out->len);
    pw_buf_free(out);
    if (st != PW_OK) {
        pw_session_fail(s, st, NULL);
        return STEP_CLOSED;
    }
    return STEP_AGAIN;
}

enum step pw_admin_run(struct session *s)
{
    if (pw_psql_front_is_busy(s->front))
        return STEP_WAIT; /* a client that vanished is noticed with the answer */
    struct slice in = pw_stream_input(&s->stream);
    struct frame f;
    enum frame_result r = pw_frame_peek_front(in, &f);
    if (r == FRAME_MORE && !s->eof)
        return STEP_WAIT;
    if (r == FRAME_MORE || (r == FRAME_OK && f.type == FRONT_TERMINATE)) {
        pw_session_close(s, false);
        return STEP_CLOSED;
    }
    if (r == FRAME_BAD || f.len > PW_ADMIN_TEXT_MAX + 64) {
        pw_session_fail(s, PW_PROTOCOL, NULL);
        return STEP_CLOSED;
    }
    if (!pw_frame_complete(in, &f)) {
        if (s->eof)
            pw_session_close(s, false);
        else if (!pw_stream_want(&s->stream, f.len))
            pw_session_fail(s, PW_NO_MEMORY, NULL);
        return STEP_WAIT;
    }
    struct buf out;
    pw_buf_init(&out, CONSOLE_OUT_MAX);
    enum pw_status st = pw_psql_front_feed(s->front, f.type, pw_frame_body(in, &f), &out);
    pw_stream_consume(&s->stream, f.len);
    return answer(s, st, &out);
}

void pw_session_on_admin_result(struct session *s, struct admin_result *result)
{
    if (s->state != SESSION_ADMIN || !pw_psql_front_is_busy(s->front)) {
        pw_admin_result_clear(result);
        return;
    }
    struct buf out;
    pw_buf_init(&out, CONSOLE_OUT_MAX);
    enum pw_status st = pw_psql_front_result(s->front, result, &out);
    if (answer(s, st, &out) != STEP_CLOSED)
        pw_session_mark(s);
}
