/* One reading of a server: its counters, and its processes where they run on this host. Advisor
 * thread. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "advisor/profile_priv.h"
#include "advisor/side.h"
#include "planner/parse.h"
#include "proxy/base/alloc.h"
#include "proxy/base/num.h"

#define FAMILIES_MAX 2000
#define BACKENDS_MAX 2000
#define SAME_AGE_S   2.0 /* a process whose age differs more is another one with this number */

void pw_server_reading_free(struct server_reading *r)
{
    if (!r)
        return;
    pw_arena_free(&r->mem);
    pw_free(r);
}

static void read_database(struct server_reading *r, struct side *s)
{
    struct pgresult *res = pw_side_rows(
        s, "pg_stat_database",
        "SELECT xact_commit, blks_read, blks_hit, temp_files, temp_bytes, deadlocks,"
        " current_setting('block_size') FROM pg_stat_database WHERE datname = current_database()",
        0, NULL);
    double *const to[] = {&r->commits,    &r->blks_read, &r->blks_hit,  &r->temp_files,
                          &r->temp_bytes, &r->deadlocks, &r->block_size};
    for (size_t k = 0; k < PW_COUNT_OF(to); k++)
        *to[k] = res ? pw_cell_num(res, 0, (int)k, NAN) : NAN;
    if (res)
        pw_pgresult_free(res);
}

/* ---- processes ---- */

static bool read_proc(int64_t pid, const char *file, char *out, size_t size)
{
    char path[64];
    if (pid)
        snprintf(path, sizeof(path), "/proc/%lld/%s", (long long)pid, file);
    else
        snprintf(path, sizeof(path), "/proc/%s", file);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(out, 1, size - 1, f);
    fclose(f);
    out[n] = 0;
    return n > 0;
}

static double field_after(const char *text, const char *name, double otherwise)
{
    const char *at = strstr(text, name);
    uint64_t v = 0;
    if (!at)
        return otherwise;
    at += strlen(name);
    at += strspn(at, " \t");
    return pw_num_parse_u64(pw_slice(at, strspn(at, "0123456789")), &v) ? (double)v : otherwise;
}

/* Seconds since this machine started, sleep included: the clock that process start times are in. */
static double uptime(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct process {
    long long parent;
    double age; /* seconds */
};

/* False: no process of that number here, or none of PostgreSQL's. */
static bool read_process(struct server_backend *b, struct process *p)
{
    char text[4096];
    double tick = (double)sysconf(_SC_CLK_TCK);
    unsigned long user, kernel;
    unsigned long long start;
    if (!read_proc(b->pid, "stat", text, sizeof(text)) || !strstr(text, "(postgres)"))
        return false;
    const char *after = strrchr(text, ')');
    if (!after || sscanf(after + 1,
                         " %*c %lld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d"
                         " %*d %*d %llu",
                         &p->parent, &user, &kernel, &start) != 4)
        return false;
    p->age = uptime() - (double)start / tick;
    b->cpu_s = (double)(user + kernel) / tick;
    b->memory = b->disk_read = b->disk_written = NAN;
    if (read_proc(b->pid, "status", text, sizeof(text)))
        b->memory = field_after(text, "RssAnon:", NAN) * 1024;
    if (read_proc(b->pid, "io", text, sizeof(text))) {
        b->disk_read = field_after(text, "read_bytes:", NAN);
        b->disk_written = field_after(text, "\nwrite_bytes:", NAN);
    }
    return true;
}

/* The parent of the server's processes, when they run on this host; else 0. The process number of
 * our own connection is no proof: here it could be another server's process. Its age is compared,
 * not its start, because the clock of the wall may have been set since the machine started. */
static long long postmaster_here(struct side *s)
{
    struct process p;
    struct server_backend b = {0};
    struct pgresult *res = pw_side_rows(
        s, "pg_stat_activity",
        "SELECT pid, extract(epoch FROM clock_timestamp() - backend_start) FROM pg_stat_activity"
        " WHERE pid = pg_backend_pid()",
        0, NULL);
    double age = res ? pw_cell_num(res, 0, 1, NAN) : NAN;
    b.pid = res ? pw_cell_int(res, 0, 0, 0) : 0;
    if (res)
        pw_pgresult_free(res);
    bool here = b.pid > 0 && read_process(&b, &p) && fabs(p.age - age) < SAME_AGE_S;
    return here ? p.parent : 0;
}

static void read_backends(struct server_reading *r, struct side *s)
{
    long long postmaster = postmaster_here(s);
    if (!postmaster)
        return;
    struct pgresult *res = pw_side_rows(
        s, "pg_stat_activity",
        "SELECT pid, extract(epoch FROM backend_start), backend_type,"
        " concat_ws(' ', usename, nullif(application_name, '')), datname, pid = pg_backend_pid()"
        " FROM pg_stat_activity WHERE backend_start IS NOT NULL ORDER BY pid",
        0, NULL);
    for (int k = 0; res && k < pw_pgresult_rows(res) && k < BACKENDS_MAX; k++) {
        struct process p;
        struct server_backend b = {.pid = pw_cell_int(res, k, 0, 0),
                                   .started = pw_cell_num(res, k, 1, 0),
                                   .ours = pw_cell_bool(res, k, 5)};
        if (b.pid <= 0 || !read_process(&b, &p) || p.parent != postmaster)
            continue;
        const char *kind = pw_cell(res, k, 2);
        b.kind = pw_mem_str(&r->mem, kind[0] ? kind : "backend");
        b.who = pw_mem_str(&r->mem, pw_cell(res, k, 3));
        b.where = pw_mem_str(&r->mem, pw_cell(res, k, 4));
        r->backends = pw_mem_push(&r->mem, r->backends, &r->n_backends, sizeof(b));
        r->backends[r->n_backends - 1] = b;
    }
    r->local = r->n_backends > 0;
    if (res)
        pw_pgresult_free(res);
}

/* ---- statements ---- */

/* calls, exec_ms, blks_hit, blks_read, written, temp_blks, wal, jit_ms, io_ms, cpu_s, disk_r,
 * disk_w */
enum { STATEMENT_FIGURES = 12 };

static void add_statement(struct server_reading *r, const struct pgresult *res, int k)
{
    struct parsed parsed;
    const char *text = pw_cell(res, k, 0);
    if (strlen(text) > PW_WORKLOAD_MAX_SQL || !pw_parse(text, &parsed))
        return;
    uint64_t id = parsed.fingerprint;
    pw_parsed_free(&parsed);
    size_t at = 0;
    while (at < r->n_families && r->families[at].family != id)
        at++;
    if (at == r->n_families)
        r->families = pw_mem_push(&r->mem, r->families, &r->n_families, sizeof(*r->families));
    struct server_family *f = &r->families[at];
    f->family = id;
    double *const to[] = {&f->calls,        &f->exec_ms,   &f->blks_hit,  &f->blks_read,
                          &f->blks_written, &f->temp_blks, &f->wal_bytes, &f->jit_ms,
                          &f->io_ms,        &f->cpu_s,     &f->disk_read, &f->disk_written};
    _Static_assert(PW_COUNT_OF(to) == STATEMENT_FIGURES, "a column for each figure");
    for (size_t c = 0; c < PW_COUNT_OF(to); c++)
        *to[c] += pw_cell_num(res, k, (int)c + 1, NAN); /* one NULL: not known */
}

static char *schema_of(struct side *s, struct arena *mem, const char *extension)
{
    const char *params[] = {extension};
    struct pgresult *res =
        pw_side_rows(s, NULL,
                     "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON"
                     " n.oid = e.extnamespace WHERE e.extname = $1",
                     1, params);
    char *out = res && pw_pgresult_rows(res) ? pw_cell_str(mem, res, 0, 0) : NULL;
    if (res)
        pw_pgresult_free(res);
    return out;
}

/* The columns and the join that pg_stat_kcache adds; it renamed its columns in 2.2. */
static char *kcache_join(struct side *s, struct arena *mem, const char **cpu)
{
    char *schema = schema_of(s, mem, "pg_stat_kcache");
    char *names = schema ? pw_side_value(s, NULL,
                                         "SELECT array_to_string(proargnames, ' ') FROM pg_proc"
                                         " WHERE proname = 'pg_stat_kcache' ORDER BY oid LIMIT 1")
                         : NULL;
    if (!names)
        return NULL;
    bool recent = strstr(names, "exec_user_time") != NULL;
    *cpu = recent ? "k.exec_user_time + k.exec_system_time, k.exec_reads, k.exec_writes"
                  : "k.user_time + k.system_time, k.reads, k.writes";
    return pw_mem_printf(mem,
                         " LEFT JOIN %s.pg_stat_kcache() k ON k.queryid = s.queryid AND k.dbid ="
                         " s.dbid AND k.userid = s.userid%s",
                         schema,
                         s->version >= 140000 && strncmp(names, "queryid top", 11) == 0
                             ? " AND k.top = s.toplevel"
                             : "");
}

static void read_statements(struct server_reading *r, struct side *s)
{
    char *schema = schema_of(s, &r->mem, "pg_stat_statements");
    if (!schema)
        return;
    const char *jit = s->version >= 150000 ? "s.jit_generation_time + s.jit_inlining_time +"
                                             " s.jit_optimization_time + s.jit_emission_time"
                                           : "0";
    const char *io = s->version >= 170000 ? "s.shared_blk_read_time + s.shared_blk_write_time"
                                          : "s.blk_read_time + s.blk_write_time";
    const char *cpu = "NULL, NULL, NULL";
    char *kcache = kcache_join(s, &r->mem, &cpu);
    for (int with = kcache != NULL; with >= 0 && !r->has_pgss; with--) {
        char *sql = pw_mem_printf(
            &r->mem,
            "SELECT s.query, s.calls, s.total_exec_time, s.shared_blks_hit, s.shared_blks_read,"
            " s.shared_blks_written, s.temp_blks_written, s.wal_bytes, %s,"
            " CASE WHEN current_setting('track_io_timing') = 'on' THEN %s END, %s"
            " FROM %s.pg_stat_statements s%s WHERE s.dbid = (SELECT oid FROM pg_database WHERE"
            " datname = current_database())%s ORDER BY s.total_exec_time DESC LIMIT %d",
            jit, io, with ? cpu : "NULL, NULL, NULL", schema, with ? kcache : "",
            s->version >= 140000 ? " AND s.toplevel" : "", FAMILIES_MAX);
        /* pg_stat_kcache that is installed but not preloaded: without it, then. */
        struct pgresult *res = pw_side_rows(s, with ? NULL : "pg_stat_statements", sql, 0, NULL);
        r->has_pgss = res != NULL;
        r->has_kcache = res && with;
        for (int k = 0; res && k < pw_pgresult_rows(res); k++)
            add_statement(r, res, k);
        if (res)
            pw_pgresult_free(res);
    }
}

struct server_reading *pw_server_read(const char *conninfo, char **error)
{
    struct server_reading *r = pw_alloc(sizeof(*r));
    struct side s;
    pw_arena_init(&r->mem, PW_MEM_MAX);
    if (!pw_side_open(&s, &r->mem, conninfo, error)) {
        pw_server_reading_free(r);
        return NULL;
    }
    read_database(r, &s);
    read_backends(r, &s);
    read_statements(r, &s);
    r->notes = s.notes;
    r->n_notes = s.n_notes;
    pw_side_close(&s);
    return r;
}
