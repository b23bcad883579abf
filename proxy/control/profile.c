/*
 * A profile from its first moment to its report. A run is gathered step by step: the workers'
 * families, each database's server (on the advisor's thread), at its end also advice. Between its
 * two moments the desk keeps it; while a step is under way the step does, so that a process that
 * stops in between leaves nothing behind. Control thread, except on_reading and on_advice (the
 * advisor's).
 */
#include "proxy/control/profile.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "advisor/profile.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/control/desk.h"
#include "proxy/control/show.h"

enum { DATABASES_MAX = 64, REPORT_MAX = 32 * 1024 * 1024 };

enum profile_state { PROFILE_NONE, PROFILE_STARTING, PROFILE_RUNNING, PROFILE_STOPPING };

struct one_database {
    char *name;                            /* OWN */
    struct server_reading *before, *after; /* OWN; NULL: not read */
    char *error;                           /* OWN; why not; NULL when it was */
};

struct run {
    struct control *control;
    struct admin_call *call; /* NULL between the two moments */
    enum profile_format format;
    struct profile_moment *from, *to;         /* OWN */
    struct families_snapshot *before, *after; /* OWN */
    struct one_database databases[DATABASES_MAX];
    size_t n_databases;
    unsigned left; /* answers the step waits for */
};

struct profile_desk {
    enum profile_state state;
    struct run *run;      /* OWN while RUNNING */
    uint64_t since_us;    /* wall */
    struct profile *last; /* OWN */
};

static void run_free(struct run *r)
{
    pw_profile_moment_free(r->from);
    pw_profile_moment_free(r->to);
    if (r->before)
        pw_families_snapshot_free(r->before);
    if (r->after)
        pw_families_snapshot_free(r->after);
    for (size_t k = 0; k < r->n_databases; k++) {
        pw_free(r->databases[k].name);
        pw_free(r->databases[k].error);
        pw_server_reading_free(r->databases[k].before);
        pw_server_reading_free(r->databases[k].after);
    }
    pw_free(r);
}

static struct profile_desk *desk_of(const struct run *r)
{
    return r->control->advice ? pw_advice_desk_profile(r->control->advice) : NULL;
}

/* The process is stopping. */
static void give_up(struct run *r)
{
    struct profile_desk *desk = desk_of(r);
    if (desk)
        desk->state = PROFILE_NONE;
    pw_admin_finish_error(r->call, "57P01", "pgweir is shutting down");
    run_free(r);
}

/* ---- one server's reading ---- */

struct news {
    struct run *run;
    size_t database;
    void (*next)(struct run *r);    /* when nothing is left */
    struct server_reading *reading; /* OWN */
    char *error;                    /* OWN */
};

static void step_done(struct run *r, void (*next)(struct run *r))
{
    if (--r->left == 0)
        next(r);
}

static void take_news(void *arg)
{
    struct news *n = arg;
    struct run *r = n->run;
    struct one_database *db = &r->databases[n->database];
    if (n->reading && r->after)
        db->after = n->reading;
    else if (n->reading)
        db->before = n->reading;
    if (n->error && !db->error) {
        db->error = n->error;
        n->error = NULL;
    }
    pw_free(n->error);
    void (*next)(struct run *) = n->next;
    pw_free(n);
    step_done(r, next);
}

static void on_news(struct control *c, void *arg)
{
    (void)c;
    take_news(arg);
}

static void on_reading(void *arg, struct server_reading *reading, const char *error)
{
    struct news *n = arg;
    n->reading = reading;
    n->error = reading ? NULL : pw_strdup(error);
    pw_control_call(n->run->control, on_news, take_news, n);
}

static char *conninfo_of(struct control *c, const char *database)
{
    const struct conf_database *db = pw_conf_database_find(c->conf, database);
    return db ? pw_conninfo_for(&db->upstream, pw_conf_database_dbname(db, database)) : NULL;
}

static void read_servers(struct run *r, void (*next)(struct run *r))
{
    struct advisor *advisor = pw_advice_desk_advisor(r->control->advice);
    r->left = 1;
    for (size_t k = 0; k < r->n_databases; k++) {
        char *conninfo = conninfo_of(r->control, r->databases[k].name);
        struct news *n = pw_alloc(sizeof(*n));
        *n = (struct news){.run = r, .database = k, .next = next};
        r->left++;
        if (!conninfo || !pw_advisor_read_server(advisor, conninfo, on_reading, n))
            on_reading(n, NULL, conninfo ? "the advisor is busy" : "no such database any more");
        pw_free(conninfo);
    }
    step_done(r, next);
}

/* ---- PROFILE START ---- */

static void name_databases(struct run *r)
{
    for (struct pool_row *row = pw_databases_rows(r->control->databases); row; row = row->next) {
        size_t k = 0;
        while (k < r->n_databases && strcmp(r->databases[k].name, row->database) != 0)
            k++;
        if (k == r->n_databases && k < DATABASES_MAX)
            r->databases[r->n_databases++].name = pw_strdup(row->database);
    }
}

static void started(struct run *r)
{
    struct profile_desk *desk = desk_of(r);
    if (!desk) {
        give_up(r);
        return;
    }
    struct admin_call *call = r->call;
    size_t unread = 0;
    for (size_t k = 0; k < r->n_databases; k++)
        unread += r->databases[k].before == NULL;
    r->call = NULL;
    desk->run = r;
    desk->state = PROFILE_RUNNING;
    desk->since_us = pw_profile_moment_wall_us(r->from);
    if (unread)
        pw_admin_finish_notice(call,
                               "the profile runs; of %zu of %zu databases the server's own "
                               "counters could not be read (%s); PROFILE STOP ends it",
                               unread, r->n_databases, r->databases[0].error);
    else
        pw_admin_finish_notice(call, "the profile runs, with %zu databases; PROFILE STOP ends it",
                               r->n_databases);
}

static void start_with(struct control *c, struct families_snapshot *s, void *arg)
{
    struct run *r = arg;
    if (!s || !c->advice) {
        if (s)
            pw_families_snapshot_free(s);
        give_up(r);
        return;
    }
    r->before = s;
    r->from = pw_profile_moment_take(c);
    name_databases(r);
    read_servers(r, started);
}

void pw_profile_desk_start(struct profile_desk *p, struct control *c, struct admin_call *call)
{
    if (p->state != PROFILE_NONE) {
        pw_admin_finish_error(call, "55000",
                              "a profile is under way already: PROFILE STOP ends it");
        return;
    }
    struct run *r = pw_alloc(sizeof(*r));
    r->control = c;
    r->call = call;
    p->state = PROFILE_STARTING;
    pw_families_gather(c, start_with, r);
}

/* ---- PROFILE STOP ---- */

static struct profile *build(struct run *r, struct advisor *advisor)
{
    struct profile *p =
        pw_profile_new(pw_profile_moment_wall_us(r->from), pw_profile_moment_wall_us(r->to));
    pw_profile_add_families(p, r->control, r->before, r->after);
    pw_profile_moment_add(p, r->control, r->from, r->to);
    for (size_t k = 0; k < r->n_databases; k++) {
        const struct one_database *db = &r->databases[k];
        if (db->before && db->after)
            pw_profile_add_server(p, db->name, db->before, db->after);
        else
            pw_profile_note(p, "%s: the server's own counters could not be read: %s", db->name,
                            db->error ? db->error : "not asked");
        struct advice_set *set = pw_advisor_latest(advisor, db->name);
        if (set)
            pw_profile_add_advice(p, set);
        else
            pw_profile_note(p, "%s: no advice: the advisor could not reach the server", db->name);
        if (set && !pw_advice_count(set, ADVICE_JIT))
            pw_profile_note(p, "%s: JIT is measured only on command: ADVISE JIT", db->name);
        pw_advice_set_unref(set);
    }
    return p;
}

void pw_profile_finish(struct admin_call *call, const struct buf *text)
{
    static const struct table_column columns[] = {{"profile", TABLE_TEXT}};
    struct table *t = pw_table_new(columns, PW_COUNT_OF(columns));
    struct slice rest = pw_buf_slice(text);
    while (rest.len && pw_table_row(t)) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len, used = end ? len + 1 : len;
        pw_table_slice(t, pw_slice(rest.ptr, len));
        rest = pw_slice(rest.ptr + used, rest.len - used);
    }
    pw_admin_finish_table(call, t);
}

static void finished(struct run *r)
{
    struct profile_desk *desk = desk_of(r);
    if (!desk) {
        give_up(r);
        return;
    }
    struct buf text;
    pw_profile_free(desk->last);
    desk->last = build(r, pw_advice_desk_advisor(r->control->advice));
    desk->state = PROFILE_NONE;
    pw_buf_init(&text, REPORT_MAX);
    if (pw_profile_desk_render(desk, r->format, &text))
        pw_profile_finish(r->call, &text);
    else
        pw_admin_finish_error(r->call, "54000", "the report is too large");
    pw_buf_free(&text);
    run_free(r);
}

static void on_run_done(void *arg)
{
    struct news *n = arg;
    struct run *r = n->run;
    pw_free(n);
    step_done(r, finished);
}

static void on_advised(struct control *c, void *arg)
{
    (void)c;
    on_run_done(arg);
}

static void on_advice(void *arg, bool ok, const char *error, struct advice_set *set)
{
    struct news *n = arg;
    (void)ok; /* what it left is in the advisor's latest set, its notes included */
    (void)error;
    (void)set;
    pw_control_call(n->run->control, on_advised, on_run_done, n);
}

/* From every advisor that executes nothing; what ADVISE JIT measured before is in the set too. */
static void advise(struct run *r)
{
    static const enum advise_what kinds[] = {ADVISE_INDEXES, ADVISE_FUNCTIONS_UNMEASURED};
    struct control *c = r->control;
    struct advisor *advisor = pw_advice_desk_advisor(c->advice);
    if (!advisor) {
        give_up(r);
        return;
    }
    r->left = 1;
    for (size_t k = 0; k < r->n_databases; k++)
        for (size_t i = 0; i < PW_COUNT_OF(kinds); i++) {
            const char *name = r->databases[k].name;
            char *conninfo = conninfo_of(c, name);
            struct news *n = pw_alloc(sizeof(*n));
            *n = (struct news){.run = r};
            r->left++;
            if (!conninfo ||
                !pw_advisor_run(advisor, kinds[i], name, conninfo,
                                pw_advice_workload(r->after, pw_databases_id(c->databases, name)),
                                on_advice, n))
                on_advice(n, false, "", NULL);
            pw_free(conninfo);
        }
    step_done(r, finished);
}

static void stop_with(struct control *c, struct families_snapshot *s, void *arg)
{
    struct run *r = arg;
    if (!s || !c->advice) {
        if (s)
            pw_families_snapshot_free(s);
        give_up(r);
        return;
    }
    r->after = s;
    r->to = pw_profile_moment_take(c);
    read_servers(r, advise);
}

void pw_profile_desk_stop(struct profile_desk *p, struct control *c, struct admin_call *call,
                          enum profile_format format)
{
    if (p->state != PROFILE_RUNNING) {
        pw_admin_finish_error(call, "55000", "%s",
                              p->state == PROFILE_NONE
                                  ? "no profile is running: PROFILE START begins one"
                                  : "the profile is being started or stopped already");
        return;
    }
    struct run *r = p->run;
    p->run = NULL;
    p->state = PROFILE_STOPPING;
    r->call = call;
    r->format = format;
    pw_families_gather(c, stop_with, r);
}

/* ---- looking ---- */

bool pw_profile_format(const char *word, enum profile_format *out)
{
    static const char *const words[] = {"text", "json", "html"};
    for (size_t k = 0; k < PW_COUNT_OF(words); k++)
        if (strcasecmp(word, words[k]) == 0) {
            *out = (enum profile_format)k;
            return true;
        }
    return false;
}

bool pw_profile_desk_render(struct profile_desk *p, enum profile_format format, struct buf *out)
{
    if (!p->last)
        return false;
    return format == PROFILE_HTML   ? pw_profile_render_html(p->last, out)
           : format == PROFILE_JSON ? pw_profile_render_json(p->last, out)
                                    : pw_profile_render_text(p->last, out);
}

char *pw_profile_desk_state(const struct profile_desk *p, char *out, size_t size)
{
    char iso[32];
    static const char *const texts[] = {[PROFILE_NONE] = "none",
                                        [PROFILE_STARTING] = "starting",
                                        [PROFILE_RUNNING] = "running since",
                                        [PROFILE_STOPPING] = "being written"};
    if (p->state == PROFILE_RUNNING)
        snprintf(out, size, "%s %s", texts[p->state], pw_clock_iso(p->since_us, iso, sizeof iso));
    else if (p->state == PROFILE_NONE && p->last)
        snprintf(out, size, "finished: GET /profile or SHOW PROFILE");
    else
        snprintf(out, size, "%s", texts[p->state]);
    return out;
}

/* ---- life ---- */

struct profile_desk *pw_profile_desk_new(void)
{
    return pw_alloc(sizeof(struct profile_desk));
}

void pw_profile_desk_free(struct profile_desk *p)
{
    if (!p)
        return;
    if (p->run)
        run_free(p->run);
    pw_profile_free(p->last);
    pw_free(p);
}
