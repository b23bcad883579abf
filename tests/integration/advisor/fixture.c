/* See fixture.h. */
#include "fixture.h"

#include <arpa/inet.h>
#include <glob.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/alloc.h"
#include "proxy/base/hashmap.h"

/* As tests/fixture/ports.py says: below the kernel's own range, claimed by an abstract Unix socket
 * that stays open as long as this process lives. */
enum { PORTS_FROM = 10000, PORTS_TO = 32767 };

static bool claim_port(int port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "pgweir-test-port-%d", port);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int holder = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int probe = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    bool ours = setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                bind(holder, (struct sockaddr *)&name, len) == 0 &&
                bind(probe, (struct sockaddr *)&at, sizeof at) == 0;
    close(probe);
    if (!ours)
        close(holder);
    return ours;
}

static int free_port(void)
{
    int start = (int)getpid() % (PORTS_TO - PORTS_FROM);
    for (int i = 0; i < PORTS_TO - PORTS_FROM; i++) {
        int port = PORTS_FROM + (start + i) % (PORTS_TO - PORTS_FROM);
        if (claim_port(port))
            return port;
    }
    return -1;
}

static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *fmt, ...)
{
    char command[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof(command), fmt, args);
    va_end(args);
    return system(command);
}

/* The newest PostgreSQL installed. */
static bool find_bin(char *out, size_t size)
{
    glob_t g;
    bool ok = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &g) == 0 && g.gl_pathc > 0;
    if (ok) {
        snprintf(out, size, "%s", g.gl_pathv[g.gl_pathc - 1]);
        *strrchr(out, '/') = 0;
    }
    globfree(&g);
    return ok;
}

static const char *as_postgres(void)
{
    return geteuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --init-groups" : "";
}

int pw_fixture_start(void **state)
{
    struct fixture *f = pw_alloc(sizeof(*f));
    char bin[256];
    *state = f;
    pw_hash_seed_init();
    strcpy(f->dir, "/tmp/pw-advisor-XXXXXX");
    if (!mkdtemp(f->dir) || !find_bin(bin, sizeof(bin)) || (f->port = free_port()) < 0)
        return -1;
    if (geteuid() == 0 && shell("chown postgres %s", f->dir) != 0)
        return -1;
    if (shell("cd %s && %s %s/initdb -D %s/data -A trust -U postgres --no-sync >%s/initdb.log 2>&1",
              f->dir, as_postgres(), bin, f->dir, f->dir) != 0)
        return -1;
    if (shell(
            "cd %s && %s %s/pg_ctl -D %s/data -w -l %s/log -o \"-p %d -k %s -c fsync=off -c "
            "autovacuum=off -c jit=on -c listen_addresses=127.0.0.1 -c "
            "shared_preload_libraries=pg_stat_statements -c shared_buffers=64MB\" start >/dev/null",
            f->dir, as_postgres(), bin, f->dir, f->dir, f->port, f->dir) != 0)
        return -1;
    snprintf(f->conninfo, sizeof(f->conninfo),
             "host=127.0.0.1 port=%d user=postgres dbname=postgres", f->port);
    char *error = NULL;
    f->pg = pw_pgsync_connect(f->conninfo, 10000000, &error);
    if (!f->pg) {
        fprintf(stderr, "fixture: %s\n", error ? error : "?");
        pw_free(error);
        return -1;
    }
    pw_fixture_sql(f, "SET search_path = public");
    return 0;
}

int pw_fixture_start_with(void **state, const char *schema_sql)
{
    if (pw_fixture_start(state) != 0)
        return -1;
    pw_fixture_sql(*state, schema_sql);
    pw_fixture_sql(*state, "VACUUM ANALYZE");
    return 0;
}

int pw_fixture_stop(void **state)
{
    struct fixture *f = *state;
    char bin[256];
    if (f->pg)
        pw_pgsync_free(f->pg);
    if (find_bin(bin, sizeof(bin)))
        shell("cd /tmp && %s %s/pg_ctl -D %s/data -m immediate -w stop >/dev/null 2>&1",
              as_postgres(), bin, f->dir);
    shell("rm -rf '%s'", f->dir);
    pw_free(f);
    return 0;
}

void pw_fixture_sql(struct fixture *f, const char *sql)
{
    struct pgresult *r = pw_pgsync_query(f->pg, sql, 0, NULL);
    if (!pw_pgresult_ok(r))
        fail_msg("%.200s: %s", sql, pw_pgresult_error(r));
    pw_pgresult_free(r);
}

const char *pw_fixture_value(struct fixture *f, const char *sql)
{
    struct pgresult *r = pw_pgsync_query(f->pg, sql, 0, NULL);
    if (!pw_pgresult_ok(r))
        fail_msg("%.200s: %s", sql, pw_pgresult_error(r));
    const char *v = pw_pgresult_rows(r) > 0 ? pw_pgresult_get(r, 0, 0) : NULL;
    snprintf(f->what, sizeof(f->what), "%s", v ? v : "");
    pw_pgresult_free(r);
    return f->what;
}

struct task {
    struct fixture *f;
    struct workload *w; /* OWN */
    const char *text;   /* to be added: parsed on the large stack */
    struct advise_job job;
    struct advice_set *out;
};

static void *advise(void *arg)
{
    struct task *t = arg;
    bool reached;
    if (t->text)
        pw_workload_add_file(t->w, pw_slice_str(t->text));
    t->out = pw_advise_run(&t->job, t->w, NULL, &reached);
    pw_workload_free(t->w);
    return NULL;
}

static struct advice_set *run(struct fixture *f, struct workload *w, const char *text,
                              const struct advise_job *options)
{
    struct task t = {.f = f, .w = w, .text = text};
    if (options)
        t.job = *options;
    if (!t.job.conninfo)
        t.job.conninfo = f->conninfo;
    pw_advise_defaults(&t.job.o);
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)64 << 20);
    assert_int_equal(pthread_create(&thread, &attr, advise, &t), 0);
    pthread_attr_destroy(&attr);
    pthread_join(thread, NULL);
    return t.out;
}

struct advice_set *pw_fixture_advise(struct fixture *f, const char *workload,
                                     const struct advise_job *options)
{
    bool pgss = workload && strcmp(workload, "pg_stat_statements") == 0;
    return run(f, pw_workload_new(pgss ? workload : "workload"), pgss ? NULL : workload, options);
}

struct advice_set *pw_fixture_advise_live(struct fixture *f, struct workload *w,
                                          const struct advise_job *options)
{
    return run(f, w, NULL, options);
}

const struct advice *pw_fixture_find(const struct advice_set *s, enum advice_kind kind,
                                     const char *object)
{
    for (size_t k = 0; k < s->n_items; k++) {
        const char *dot = strchr(s->items[k].object, '.');
        if (s->items[k].kind == kind && dot && strcmp(dot + 1, object) == 0)
            return &s->items[k];
    }
    return NULL;
}

void pw_fixture_print(const struct advice_set *s)
{
    struct buf b;
    pw_buf_init(&b, 1 << 24);
    pw_advice_render_text(s, &b);
    fprintf(stderr, "%.*s\n", (int)b.len, b.data);
    pw_buf_free(&b);
}
