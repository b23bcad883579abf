/* room: admin */
/* The psql front: any messages in any order. Input: type byte, length byte, body, ... */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin/psql_front.h"
#include "proxy/base/check.h"
#include "proxy/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct table_column columns[] = {{"a", TABLE_TEXT}, {"n", TABLE_INT4}};

static void run(struct admin_call *call)
{
    struct table *t = pw_table_new(columns, PW_COUNT_OF(columns));
    for (int i = 0; i < 3; i++) {
        pw_table_row(t);
        pw_table_text(t, call->rest);
        pw_table_int(t, i);
    }
    pw_admin_finish_table(call, t);
}

static const struct admin_command rows[] = {
    {"SHOW POOLS", ADMIN_STATS, "[x]", "", run},
    {"PAUSE", ADMIN_ADMIN, "[db]", "", run},
};

static char wanted[PW_ADMIN_TEXT_MAX + 1];
static size_t wanted_len;

static void on_command(void *arg, struct slice text)
{
    (void)arg;
    PW_CHECK(text.len <= PW_ADMIN_TEXT_MAX);
    memcpy(wanted, text.ptr, text.len);
    wanted_len = text.len;
}

static void on_finished(struct admin_call *call, void *owner)
{
    *(struct admin_result *)owner = pw_psql_result_take(call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pw_log_configure(&(struct pw_log_options){.level = PW_LOG_ERROR});
    struct admin *admin = pw_admin_new();
    pw_admin_register(admin, rows, PW_COUNT_OF(rows), NULL);
    struct psql_front *front = pw_psql_front_new(admin, "u", "pgweir", on_command, NULL);
    struct buf out;
    pw_buf_init(&out, 1 << 18);
    for (size_t at = 0; at + 2 <= size;) {
        size_t len = data[at + 1] < size - at - 2 ? data[at + 1] : size - at - 2;
        uint8_t type = data[at];
        if (pw_psql_front_feed(front, type, pw_slice((const char *)data + at + 2, len), &out) !=
            PW_OK)
            break;
        while (pw_psql_front_is_busy(front)) {
            struct admin_result result = {0};
            const struct admin_request request = {.text = pw_slice(wanted, wanted_len),
                                                  .level = ADMIN_ADMIN};
            PW_CHECK(!pw_admin_start(admin, &request, on_finished, &result));
            if (pw_psql_front_result(front, &result, &out) != PW_OK)
                break;
        }
        if (out.failed || pw_psql_front_is_busy(front))
            break;
        at += 2 + len;
    }
    pw_buf_free(&out);
    pw_psql_front_free(front);
    pw_admin_free(admin);
    return 0;
}
