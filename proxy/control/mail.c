/* What worker threads (and the advisor's) ask of the control thread. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/admin/psql_front.h"
#include "proxy/base/alloc.h"
#include "proxy/control/control_priv.h"

struct call_mail {
    struct mail mail;
    struct control *control;
    void (*fn)(struct control *c, void *arg);
    void (*drop)(void *arg);
    void *arg;
};

static void run_call(struct mail *m)
{
    struct call_mail *call = PW_CONTAINER_OF(m, struct call_mail, mail);
    call->fn(call->control, call->arg);
    pw_free(call);
}

static void drop_call(struct mail *m)
{
    struct call_mail *call = PW_CONTAINER_OF(m, struct call_mail, mail);
    if (call->drop)
        call->drop(call->arg);
    pw_free(call);
}

void pw_control_call(struct control *c, void (*fn)(struct control *c, void *arg),
                     void (*drop)(void *arg), void *arg)
{
    struct call_mail *call = pw_alloc(sizeof *call);
    *call = (struct call_mail){.mail = {.run = run_call, .drop = drop_call},
                               .control = c,
                               .fn = fn,
                               .drop = drop,
                               .arg = arg};
    pw_mailbox_send(&c->box, &call->mail);
}

/* ---- one session's question */

struct question {
    unsigned worker;
    uint64_t session_id;
    char *database, *user, *text; /* OWN */
    bool is_admin;
    struct control *control;
};

static void question_free(void *arg)
{
    struct question *q = arg;
    pw_free(q->database);
    pw_free(q->user);
    pw_free(q->text);
    pw_free(q);
}

static struct question *question_new(void *control, unsigned worker, uint64_t session_id,
                                     const char *database, const char *user)
{
    struct question *q = pw_alloc(sizeof *q);
    *q = (struct question){worker, session_id, pw_strdup(database), pw_strdup(user), NULL,
                           false,  control};
    return q;
}

static void do_find_secret(struct control *c, void *arg)
{
    struct question *q = arg;
    pw_secrets_find(c->secrets, q->worker, q->session_id, q->database, q->user);
    question_free(q);
}

void pw_control_find_secret(void *control, unsigned worker, uint64_t session_id,
                            const char *database, const char *user)
{
    pw_control_call(control, do_find_secret, question_free,
                    question_new(control, worker, session_id, database, user));
}

static void do_find_roles(struct control *c, void *arg)
{
    struct question *q = arg;
    pw_roles_find(c->roles, q->worker, q->session_id, q->database, q->user);
    question_free(q);
}

void pw_control_find_roles(void *control, unsigned worker, uint64_t session_id,
                           const char *database, const char *user)
{
    pw_control_call(control, do_find_roles, question_free,
                    question_new(control, worker, session_id, database, user));
}

static void on_command_done(struct admin_call *call, void *owner)
{
    struct question *q = owner;
    struct admin_result result = pw_psql_result_take(call);
    if (q->control->stopped) /* the workers are gone */
        pw_admin_result_clear(&result);
    else
        pw_worker_post_admin_result(q->control->workers[q->worker], q->session_id, &result);
    question_free(q);
}

static void do_run_command(struct control *c, void *arg)
{
    struct question *q = arg;
    const struct admin_request request = {.text = pw_slice_str(q->text),
                                          .level = q->is_admin ? ADMIN_ADMIN : ADMIN_STATS,
                                          .format = ADMIN_FORMAT_TEXT,
                                          .user = q->user,
                                          .source = "psql"};
    pw_admin_start(c->admin, &request, on_command_done, q);
}

void pw_control_run_command(void *control, unsigned worker, uint64_t session_id, const char *user,
                            struct slice text, bool is_admin)
{
    struct question *q = pw_alloc(sizeof *q);
    *q = (struct question){
        worker,   session_id, NULL, pw_strdup(user), pw_strndup(text.ptr, text.len),
        is_admin, control};
    pw_control_call(control, do_run_command, question_free, q);
}

/* ---- the rest */

void pw_control_route_cancel(void *control, uint32_t pid, struct slice key, int fd)
{
    struct control *c =
        control; /* workers[] does not change while a worker lives: safe from any of them */
    unsigned index = pw_worker_of_pid(pid);
    uint32_t number;
    if (index >= c->n_workers || key.len != sizeof number) {
        if (fd >= 0)
            close(fd);
        return;
    }
    memcpy(&number, key.ptr, sizeof number);
    pw_worker_post_cancel(c->workers[index], pid, number, fd);
}

static void do_drained(struct control *c, void *arg)
{
    (void)arg;
    if (++c->n_drained == c->n_workers)
        pw_control_stop(c, false);
}

void pw_control_on_drained(void *control, unsigned worker)
{
    (void)worker;
    pw_control_call(control, do_drained, NULL, NULL);
}

struct new_database {
    uint32_t id;
    char *name;
};

static void new_database_free(void *arg)
{
    struct new_database *n = arg;
    pw_free(n->name);
    pw_free(n);
}

static void do_new_database(struct control *c, void *arg)
{
    struct new_database *n = arg;
    const struct conf_database *db = pw_conf_database_find(c->conf, n->name);
    if (db && n->id <= CONTROL_DATABASES_MAX && !c->catalogs[n->id - 1]) {
        char *conninfo = pw_conninfo_for(&db->upstream, pw_conf_database_dbname(db, n->name));
        c->catalogs[n->id - 1] = pw_planner_database_add(c->planner, n->id, n->name, conninfo,
                                                         &c->uv, c->conf->cache.poll_interval_us);
        if (n->id > c->n_catalogs)
            c->n_catalogs = n->id;
        pw_free(conninfo);
        pw_index_uses_database(c, n->id, n->name);
    } else {
        pw_planner_database_expect(c->planner, n->id, false);
    }
    new_database_free(n);
}

void pw_control_on_new_database(void *control, uint32_t id, const char *name)
{
    struct new_database *n = pw_alloc(sizeof *n);
    *n = (struct new_database){id, pw_strdup(name)};
    pw_planner_database_expect(((struct control *)control)->planner, id, true);
    pw_control_call(control, do_new_database, new_database_free, n);
}
