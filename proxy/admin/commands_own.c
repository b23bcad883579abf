#include "proxy/admin/commands_own.h"

#include <string.h>

#include "proxy/mem/objpool.h"
#include "proxy/metrics/trend.h"

enum { OBJECT_POOLS_MAX = 128 };

/* ---- HELP, VERSION ----------------------------------------------------------------------------
 */

static const struct table_column columns_help[] = {{"command", TABLE_TEXT},
                                                   {"arguments", TABLE_TEXT},
                                                   {"level", TABLE_TEXT},
                                                   {"help", TABLE_TEXT}};

/* Does the command have each of the words asked about? */
static bool is_about(const struct admin_command *c, const struct admin_call *call)
{
    for (size_t i = 0; i < call->n_args; i++)
        if (!strcasestr(c->words, call->args[i]))
            return false;
    return true;
}

static void run_help(struct admin_call *call)
{
    struct table *t = pw_table_new(columns_help, PW_COUNT_OF(columns_help));
    const struct admin_command *c;
    for (size_t i = 0; (c = pw_admin_command_at(call->admin, i)); i++) {
        if (!is_about(c, call) || !pw_table_row(t))
            continue;
        pw_table_text(t, c->words);
        pw_table_text(t, c->args ? c->args : "");
        pw_table_text(t, c->level == ADMIN_STATS ? "stats" : "admin");
        pw_table_text(t, c->help);
    }
    pw_admin_finish_table(call, t);
}

static const struct table_column columns_version[] = {{"version", TABLE_TEXT}};

static void run_version(struct admin_call *call)
{
    struct table *t = pw_table_new(columns_version, PW_COUNT_OF(columns_version));
    pw_table_row(t);
    pw_table_text(t, "pgweir " PW_VERSION);
    pw_admin_finish_table(call, t);
}

/* ---- CONFIG -----------------------------------------------------------------------------------
 */

static const struct table_column columns_config[] = {{"key", TABLE_TEXT},
                                                     {"value", TABLE_TEXT},
                                                     {"default", TABLE_TEXT},
                                                     {"changeable", TABLE_TEXT}};

/* Exactly PgBouncer's four columns: exporters count them. With a word: only keys that have it. */
static void run_config(struct admin_call *call)
{
    const struct admin_own *own = call->arg;
    struct table *t = pw_table_new(columns_config, PW_COUNT_OF(columns_config));
    const struct pw_conf *conf = own->conf ? own->conf(own->arg) : NULL;
    struct conf_setting setting;
    for (size_t i = 0; conf && pw_conf_setting(conf, i, &setting); i++) {
        if (call->n_args && !strcasestr(setting.key, call->args[0]))
            continue;
        if (!pw_table_row(t))
            break;
        pw_table_text(t, setting.key);
        pw_table_text(t, setting.value);
        pw_table_text(t, setting.default_value);
        pw_table_text(t, setting.reloadable ? "yes" : "no");
    }
    pw_admin_finish_table(call, t);
}

/* ---- MEM, MEMORY, OBJECTS ---------------------------------------------------------------------
 */

static const struct table_column columns_mem[] = {
    {"name", TABLE_TEXT}, {"size", TABLE_INT8},     {"used", TABLE_INT8},
    {"free", TABLE_INT8}, {"memtotal", TABLE_INT8}, {"objects", TABLE_INT8}};

static void run_mem(struct admin_call *call)
{
    const struct admin_own *own = call->arg;
    struct table *t = pw_table_new(columns_mem, PW_COUNT_OF(columns_mem));
    struct mem_pool_stats pool;
    if (own->memory && own->memory(own->arg, &pool) && pw_table_row(t)) {
        pw_table_text(t, "pool");
        pw_table_uint(t, 1);
        pw_table_uint(t, pool.used);
        pw_table_uint(t, pool.available);
        pw_table_uint(t, pool.total);
        pw_table_uint(t, pool.allocations);
    }
    if (own->sampler && pw_sampler_latest(own->sampler)->mono_us && pw_table_row(t)) {
        const struct process_sample *p = &pw_sampler_latest(own->sampler)->process;
        pw_table_text(t, "process");
        pw_table_uint(t, 1);
        pw_table_uint(t, p->rss_bytes);
        pw_table_null(t);
        pw_table_uint(t, p->virtual_bytes);
        pw_table_null(t);
    }
    pw_admin_finish_table(call, t);
}

static const struct table_column columns_memory[] = {
    {"total", TABLE_INT8},       {"used", TABLE_INT8},
    {"available", TABLE_INT8},   {"fragmentation", TABLE_NUMERIC},
    {"allocations", TABLE_INT8}, {"allocated_total", TABLE_INT8},
    {"freed_total", TABLE_INT8}, {"evict_calls", TABLE_INT8},
    {"failed_total", TABLE_INT8}};

static void run_memory(struct admin_call *call)
{
    const struct admin_own *own = call->arg;
    struct table *t = pw_table_new(columns_memory, PW_COUNT_OF(columns_memory));
    struct mem_pool_stats pool;
    if (own->memory && own->memory(own->arg, &pool)) {
        pw_table_row(t);
        pw_table_uint(t, pool.total);
        pw_table_uint(t, pool.used);
        pw_table_uint(t, pool.available);
        pw_table_num(t, pool.fragmentation, 4);
        pw_table_uint(t, pool.allocations);
        pw_table_uint(t, pool.allocated_total);
        pw_table_uint(t, pool.freed_total);
        pw_table_uint(t, pool.evict_calls);
        pw_table_uint(t, pool.failed_total);
    }
    pw_admin_finish_table(call, t);
}

static const struct table_column columns_objects[] = {{"name", TABLE_TEXT},
                                                      {"created", TABLE_INT8},
                                                      {"reused", TABLE_INT8},
                                                      {"in_use", TABLE_INT8},
                                                      {"efficiency", TABLE_NUMERIC}};

static void run_objects(struct admin_call *call)
{
    struct objpool_stats rows[OBJECT_POOLS_MAX];
    struct table *t = pw_table_new(columns_objects, PW_COUNT_OF(columns_objects));
    size_t n = pw_objpool_stats(rows, OBJECT_POOLS_MAX);
    for (size_t i = 0; i < n && pw_table_row(t); i++) {
        pw_table_text(t, rows[i].name);
        pw_table_uint(t, rows[i].created);
        pw_table_uint(t, rows[i].reused);
        pw_table_uint(t, rows[i].in_use);
        pw_table_num(t, rows[i].efficiency, 4);
    }
    pw_admin_finish_table(call, t);
}

void pw_admin_collect_objects(struct metric_writer *w, void *unused)
{
    struct objpool_stats rows[OBJECT_POOLS_MAX];
    size_t n = pw_objpool_stats(rows, OBJECT_POOLS_MAX);
    (void)unused;
    for (size_t i = 0; i < n; i++) {
        pw_metric_family(w, "pgweir_object_pool_created_total", FAMILY_COUNTER,
                         "Objects allocated, by pool.");
        pw_metric_sample(w, PW_LABELS({"pool", rows[i].name}), (double)rows[i].created);
        pw_metric_family(w, "pgweir_object_pool_reused_total", FAMILY_COUNTER,
                         "Objects served from the free list, by pool.");
        pw_metric_sample(w, PW_LABELS({"pool", rows[i].name}), (double)rows[i].reused);
        pw_metric_family(w, "pgweir_object_pool_in_use", FAMILY_GAUGE, "Objects in use, by pool.");
        pw_metric_sample(w, PW_LABELS({"pool", rows[i].name}), (double)rows[i].in_use);
    }
}

/* ---- HOST, GPU, TREND -------------------------------------------------------------------------
 */

static const struct table_column columns_host[] = {
    {"key", TABLE_TEXT}, {"value", TABLE_NUMERIC}, {"unit", TABLE_TEXT}};

static void put_host(struct table *t, const char *key, double value, int decimals, const char *unit)
{
    if (!pw_table_row(t))
        return;
    pw_table_text(t, key);
    pw_table_num(t, value, decimals);
    pw_table_text(t, unit);
}

static void put_rates(struct table *t, const struct history_sample *h)
{
    put_host(t, "process_cpu", h->cpu_cores, 3, "cores");
    put_host(t, "process_io_read", h->io_read_bps, 0, "bytes/s");
    put_host(t, "process_io_write", h->io_write_bps, 0, "bytes/s");
    put_host(t, "host_cpu", h->host_cpu_ratio, 4, "ratio");
    put_host(t, "host_iowait", h->iowait_ratio, 4, "ratio");
    put_host(t, "host_network_receive", h->net_rx_bps, 0, "bytes/s");
    put_host(t, "host_network_transmit", h->net_tx_bps, 0, "bytes/s");
}

static void put_levels(struct table *t, const struct reading *r)
{
    put_host(t, "process_resident_memory", (double)r->process.rss_bytes, 0, "bytes");
    put_host(t, "process_threads", (double)r->process.threads, 0, "");
    put_host(t, "process_open_fds", (double)r->process.open_fds, 0, "");
    put_host(t, "process_cpu_total", r->process.cpu_user_s + r->process.cpu_system_s, 2, "seconds");
    put_host(t, "host_processors", (double)r->host.processors, 0, "");
    put_host(t, "host_memory_total", (double)r->host.memory_total, 0, "bytes");
    put_host(t, "host_memory_available", (double)r->host.memory_available, 0, "bytes");
    put_host(t, "host_load1", r->host.load1, 2, "");
    put_host(t, "host_load5", r->host.load5, 2, "");
    put_host(t, "host_load15", r->host.load15, 2, "");
    put_host(t, "host_disk_io_time", r->host.disk_io_time_s, 2, "seconds");
}

static void run_host(struct admin_call *call)
{
    const struct admin_own *own = call->arg;
    struct table *t = pw_table_new(columns_host, PW_COUNT_OF(columns_host));
    if (own->sampler && pw_sampler_latest(own->sampler)->mono_us) {
        const struct history_sample *h = pw_history_at(pw_sampler_history(own->sampler), 0);
        put_levels(t, pw_sampler_latest(own->sampler));
        if (h)
            put_rates(t, h);
    }
    pw_admin_finish_table(call, t);
}

static const struct table_column columns_gpu[] = {
    {"gpu", TABLE_TEXT},          {"vendor", TABLE_TEXT},         {"name", TABLE_TEXT},
    {"uuid", TABLE_TEXT},         {"utilization", TABLE_NUMERIC}, {"memory_used", TABLE_INT8},
    {"memory_total", TABLE_INT8}, {"temperature", TABLE_NUMERIC}, {"power_watts", TABLE_NUMERIC}};

static void run_gpu(struct admin_call *call)
{
    const struct admin_own *own = call->arg;
    struct table *t = pw_table_new(columns_gpu, PW_COUNT_OF(columns_gpu));
    const struct reading *r = own->sampler ? pw_sampler_latest(own->sampler) : NULL;
    for (size_t i = 0; r && i < r->n_gpus && pw_table_row(t); i++) {
        const struct gpu_sample *g = &r->gpus[i];
        pw_table_text(t, g->index);
        pw_table_text(t, g->vendor);
        pw_table_text(t, g->name);
        pw_table_text(t, g->uuid);
        pw_table_num(t, g->utilization_ratio, 2);
        pw_table_num(t, g->memory_used_bytes, 0);
        pw_table_num(t, g->memory_total_bytes, 0);
        pw_table_num(t, g->temperature_celsius, 0);
        pw_table_num(t, g->power_watts, 1);
    }
    pw_admin_finish_table(call, t);
}

static const struct table_column columns_trend[] = {
    {"samples", TABLE_INT8},        {"seconds", TABLE_NUMERIC},
    {"cpu_slope", TABLE_NUMERIC},   {"memory_slope", TABLE_NUMERIC},
    {"average_cpu", TABLE_NUMERIC}, {"peak_memory", TABLE_INT8},
    {"io_intensive", TABLE_TEXT},   {"io_bytes_per_s", TABLE_NUMERIC},
    {"iowait", TABLE_NUMERIC}};

/* Slopes are per minute: cores and bytes. */
static void run_trend(struct admin_call *call)
{
    const struct admin_own *own = call->arg;
    struct table *t = pw_table_new(columns_trend, PW_COUNT_OF(columns_trend));
    struct trend trend;
    if (own->sampler) {
        pw_trend_read(pw_sampler_history(own->sampler), &trend);
        pw_table_row(t);
        pw_table_uint(t, trend.samples);
        pw_table_num(t, trend.seconds, 1);
        pw_table_num(t, trend.cpu_slope_per_min, 6);
        pw_table_num(t, trend.memory_slope_per_min, 0);
        pw_table_num(t, trend.cpu_average, 4);
        pw_table_uint(t, trend.memory_peak);
        pw_table_bool(t, trend.io_intensive);
        pw_table_num(t, trend.io_bps, 0);
        pw_table_num(t, trend.iowait_ratio, 4);
    }
    pw_admin_finish_table(call, t);
}

/* ---- what the line front does itself: here for HELP, and for who asks elsewhere ---------------
 */

static void run_line_only(struct admin_call *call)
{
    pw_admin_finish_error(call, "0A000", "%s is for the line console", call->command->words);
}

/* ---- the rows ---------------------------------------------------------------------------------
 */

static const struct admin_command commands[] = {
    {"SHOW HELP", ADMIN_STATS, "[word]", "This list, or the commands that contain a word.",
     run_help},
    {"HELP", ADMIN_STATS, "[word]", "The same as SHOW HELP.", run_help},
    {"SHOW VERSION", ADMIN_STATS, NULL, "The version of pgweir.", run_version},
    {"SHOW CONFIG", ADMIN_STATS, "[word]",
     "Every setting with its value and default, or those whose name contains a word.", run_config},
    {"SHOW MEM", ADMIN_STATS, NULL, "Memory of the pool and the process.", run_mem},
    {"SHOW MEMORY", ADMIN_STATS, NULL,
     "The slab pool: size, use, fragmentation (share of carved memory nobody asked for).",
     run_memory},
    {"SHOW OBJECTS", ADMIN_STATS, NULL,
     "Object pools: created and reused objects, efficiency = reused / (created + reused).",
     run_objects},
    {"SHOW HOST", ADMIN_STATS, NULL, "The newest sample of the process and the host.", run_host},
    {"SHOW GPU", ADMIN_STATS, NULL, "The newest sample of each GPU.", run_gpu},
    {"SHOW TREND", ADMIN_STATS, NULL,
     "Trend of the last 100 samples; slopes are cores and bytes per minute.", run_trend},
    {"FORMAT", ADMIN_STATS, "JSON | TEXT",
     "How the line console answers from now on; \\j or FORMAT JSON after a command: that answer.",
     run_line_only},
    {"AUTH", ADMIN_STATS, "user password",
     "Logs in to the line console, with the password that auth.file has.", run_line_only},
    {"QUIT", ADMIN_STATS, NULL, "Ends the line console.", run_line_only},
};

void pw_admin_register_own(struct admin *a, struct admin_own *own)
{
    pw_admin_register(a, commands, PW_COUNT_OF(commands), own);
}
