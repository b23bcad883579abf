/* PROFILE START, PROFILE STOP, SHOW PROFILE, and GET /profile. Control thread. */
#include <stdio.h>

#include "proxy/base/alloc.h"
#include "proxy/control/desk.h"
#include "proxy/control/profile.h"
#include "proxy/control/show.h"

enum { BAD_REQUEST = 400, NOT_FOUND = 404, FAILED = 500, UNAVAILABLE = 503 };
enum { REPORT_MAX = 32 * 1024 * 1024 };

static struct profile_desk *desk_of(struct admin_call *call)
{
    struct control *c = call->arg;
    if (c->advice && !c->stopped)
        return pw_advice_desk_profile(c->advice);
    pw_admin_finish_error(call, "57P01", "pgweir is shutting down");
    return NULL;
}

static void run_start(struct admin_call *call)
{
    struct profile_desk *desk = desk_of(call);
    if (!desk)
        return;
    if (call->n_args)
        pw_admin_finish_error(call, "42601", "usage: PROFILE START");
    else
        pw_profile_desk_start(desk, call->arg, call);
}

/* False: the call is finished. */
static bool take_format(struct admin_call *call, enum profile_format *format)
{
    *format = PROFILE_TEXT;
    if (call->n_args == 0 || (call->n_args == 1 && pw_profile_format(call->args[0], format)))
        return true;
    pw_admin_finish_error(call, "42601", "usage: %s %s", call->command->words, call->command->args);
    return false;
}

static void run_stop(struct admin_call *call)
{
    enum profile_format format;
    struct profile_desk *desk = desk_of(call);
    if (desk && take_format(call, &format))
        pw_profile_desk_stop(desk, call->arg, call, format);
}

static void run_show(struct admin_call *call)
{
    enum profile_format format;
    struct profile_desk *desk = desk_of(call);
    struct buf text;
    if (!desk || !take_format(call, &format))
        return;
    pw_buf_init(&text, REPORT_MAX);
    if (pw_profile_desk_render(desk, format, &text))
        pw_profile_finish(call, &text);
    else
        pw_admin_finish_error(call, "55000",
                              "no profile is finished: PROFILE START, later PROFILE STOP");
    pw_buf_free(&text);
}

static const struct admin_command commands[] = {
    {"PROFILE START", ADMIN_ADMIN, NULL,
     "Begins a workload profile: what queries, server, host and proxy do until PROFILE STOP.",
     run_start},
    {"PROFILE STOP", ADMIN_ADMIN, "[html, json, text]",
     "Ends the profile and answers with its report; it stays at GET /profile.", run_stop},
    {"SHOW PROFILE", ADMIN_STATS, "[html, json, text]", "The newest finished profile.", run_show},
};

void pw_show_register_profile(struct control *c)
{
    pw_admin_register(c->admin, commands, PW_COUNT_OF(commands), c);
}

/* ---- GET /profile[?format=html|json|text] ---- */

static void answer(struct http_call *call, unsigned status, const char *text)
{
    call->status = status;
    pw_buf_printf(&call->body, "%s\n", text);
    pw_http_finish(call);
}

static void serve(struct http_call *call, void *arg)
{
    static const char *const types[] = {[PROFILE_TEXT] = "text/plain; charset=utf-8",
                                        [PROFILE_JSON] = "application/json",
                                        [PROFILE_HTML] = "text/html; charset=utf-8"};
    struct control *c = arg;
    enum profile_format format = PROFILE_HTML;
    const char *word = pw_http_query(call, "format");
    char state[96], text[200];
    if (c->stopped || !c->advice) {
        answer(call, UNAVAILABLE, "shutting down");
        return;
    }
    if (word && !pw_profile_format(word, &format)) {
        answer(call, BAD_REQUEST, "format is html, json or text");
        return;
    }
    struct profile_desk *desk = pw_advice_desk_profile(c->advice);
    if (pw_profile_desk_render(desk, format, &call->body)) {
        call->content_type = types[format];
        pw_http_finish(call);
        return;
    }
    if (call->body.failed) {
        answer(call, FAILED, "");
        return;
    }
    snprintf(text, sizeof text,
             "No profile is finished (now: %s). On the console: PROFILE START, later PROFILE STOP.",
             pw_profile_desk_state(desk, state, sizeof state));
    answer(call, NOT_FOUND, text);
}

void pw_profile_register_route(struct control *c)
{
    pw_http_route(c->http, "/profile", serve, c);
}
