/* planner.index_log: JSON lines, rotated to .1 at 16 MB. Conditions are without literals. See
 * index_log_priv.h. */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "planner/index_log_priv.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

enum { LOG_FILE_BYTES = 16 * 1024 * 1024 };

static void write_line(const struct index_log *log, const char *line)
{
    struct stat st;
    if (stat(log->path, &st) == 0 && st.st_size > LOG_FILE_BYTES) {
        char *old = pw_asprintf("%s.1", log->path);
        if (rename(log->path, old) != 0)
            pw_log_warn("index_log=%s event=not_rotated", log->path);
        pw_free(old);
    }
    int fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    size_t len = strlen(line);
    if (fd < 0 || write(fd, line, len) != (ssize_t)len)
        pw_log_warn("index_log=%s event=not_written", log->path);
    if (fd >= 0)
        close(fd);
}

static void add_hash(cJSON *o, const char *name, uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    cJSON_AddStringToObject(o, name, text);
}

static cJSON *start(const struct index_log *log, const struct log_family *f, const char *kind,
                    uint64_t plan_hash)
{
    char at[32];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "at", pw_clock_iso(pw_clock_wall_us(), at, sizeof at));
    cJSON_AddStringToObject(o, "kind", kind);
    cJSON_AddStringToObject(o, "database", log->asking ? log->asking->name : "");
    add_hash(o, "family", f->family);
    add_hash(o, "plan", plan_hash);
    cJSON_AddStringToObject(o, "planned", log->question.is_generic ? "generic" : "custom");
    return o;
}

static void finish(const struct index_log *log, cJSON *o)
{
    char *text = cJSON_PrintUnformatted(o);
    char *line = text ? pw_asprintf("%s\n", text) : NULL;
    if (line)
        write_line(log, line);
    pw_free(line);
    cJSON_free(text);
    cJSON_Delete(o);
}

void pw_index_file_plan(const struct index_log *log, const struct log_family *f,
                        const struct index_plan *plan, uint64_t plan_before)
{
    if (!*log->path)
        return;
    if (plan_before && plan_before != plan->hash) {
        cJSON *o = start(log, f, "plan_change", plan->hash);
        add_hash(o, "before", plan_before);
        finish(log, o);
    }
    for (size_t i = 0; i < plan->n; i++) {
        const struct index_plan_use *u = &plan->uses[i];
        cJSON *o = start(log, f, "index", plan->hash);
        cJSON_AddStringToObject(o, "table", u->table);
        cJSON_AddStringToObject(o, "index", u->index);
        cJSON_AddStringToObject(o, "scan", u->scan_kind);
        cJSON_AddStringToObject(o, "cond", u->cond);
        cJSON_AddNumberToObject(o, "share", u->share);
        cJSON_AddNumberToObject(o, "calls", (double)f->calls);
        finish(log, o);
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct index_plan_step *step = &plan->steps[i];
        cJSON *o = start(log, f, step->table ? "seq_scan" : "sort", plan->hash);
        if (step->table)
            cJSON_AddStringToObject(o, "table", step->table);
        cJSON_AddStringToObject(o, step->table ? "filter" : "keys", step->what);
        cJSON_AddNumberToObject(o, "share", step->share);
        cJSON_AddNumberToObject(o, "calls", (double)f->calls);
        finish(log, o);
    }
}
