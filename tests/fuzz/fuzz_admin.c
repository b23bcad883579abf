/* room: admin */
/* The console's text: line reader, statement splitting, tokens, finding and running commands. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin/admin.h"
#include "proxy/admin/line_reader.h"
#include "proxy/admin/parse.h"
#include "proxy/admin/psql_canned.h"
#include "proxy/base/check.h"
#include "proxy/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct table_column columns[] = {
    {"a", TABLE_TEXT}, {"n", TABLE_INT8}, {"x", TABLE_NUMERIC}};

static void run(struct admin_call *call)
{
    struct table *t = pw_table_new(columns, PW_COUNT_OF(columns));
    for (size_t i = 0; i < call->n_args; i++) {
        pw_table_row(t);
        pw_table_text(t, call->args[i]);
        pw_table_text(t, call->args[i]);
        pw_table_text(t, call->args[i]);
    }
    pw_admin_finish_table(call, t);
}

static void run_count(struct admin_call *call)
{
    if (pw_admin_arg_count(call, 0, 1, 10))
        pw_admin_finish(call);
}

static const struct admin_command rows[] = {
    {"SHOW POOLS", ADMIN_STATS, NULL, "", run},
    {"SHOW CACHE", ADMIN_STATS, "[x]", "", run},
    {"SHOW CACHE ENTRIES", ADMIN_STATS, "[n]", "", run_count},
    {"EXPLAIN CACHE", ADMIN_STATS, "sql", "", run},
    {"SET", ADMIN_ADMIN, "k = v", "", run},
};

static void on_finished(struct admin_call *call, void *owner)
{
    struct buf *out = owner;
    static const bool binary[] = {true, true, true};
    PW_CHECK(!call->result.error || call->result.sqlstate[0]);
    if (!call->result.table)
        return;
    pw_table_render_text(call->result.table, out);
    pw_table_render_json(call->result.table, out);
    pw_table_emit_description(call->result.table, binary, out);
    pw_table_emit_rows(call->result.table, binary, 0, pw_table_rows(call->result.table), out);
}

static void run_text(struct admin *admin, struct slice text)
{
    struct slice statement;
    struct buf out;
    pw_buf_init(&out, 1 << 20);
    while (pw_admin_next_statement(&text, &statement)) {
        const struct admin_request request = {.text = statement, .level = ADMIN_ADMIN};
        struct psql_canned canned = pw_psql_canned(statement, "u", "d");
        pw_table_free(canned.table);
        pw_admin_find(admin, statement);
        PW_CHECK(!pw_admin_start(admin, &request, on_finished, &out));
    }
    pw_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct line_reader reader;
    pw_log_configure(&(struct pw_log_options){.level = PW_LOG_ERROR});
    struct admin *admin = pw_admin_new();
    struct slice in = pw_slice((const char *)data, size);
    pw_admin_register(admin, rows, PW_COUNT_OF(rows), NULL);
    memset(&reader, 0, sizeof reader);
    run_text(admin, in);
    while (in.len) {
        enum line_event what;
        size_t used = pw_line_feed(&reader, in, &what);
        PW_CHECK(used > 0 && used <= in.len && reader.len <= PW_ADMIN_LINE_MAX);
        in = pw_slice(in.ptr + used, in.len - used);
        if (what == LINE_READY)
            run_text(admin, pw_slice(reader.text, reader.len));
    }
    pw_admin_free(admin);
    return 0;
}
