/* room: advisor */
/*
 * What the advisor reads from outside: plans (JSON of a server), array texts of pg_stats, workload
 * files, and (first byte V) lists of parameter values. The first byte chooses. Workload texts are
 * kept short here: libpg_query is somebody else's fuzz target.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/mem.h"
#include "advisor/params.h"
#include "advisor/plan_read.h"
#include "advisor/size.h"
#include "advisor/workload.h"
#include "planner/quote.h"
#include "planner/sample.h"
#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void arrays(const char *text)
{
    struct arena mem;
    double numbers[8];
    pw_arena_init(&mem, PW_MEM_MAX);
    size_t n = pw_params_count(text);
    for (size_t k = 0; k < n && k < 20; k++)
        if (!pw_params_element(&mem, text, k))
            abort(); /* counted, so it must be there */
    pw_size_numbers(text, numbers, 8);
    pw_mem_ident(&mem, text);
    pw_mem_literal(&mem, text);
    pw_mem_json(&mem, text);
    pw_arena_free(&mem);
}

static void workload(const char *text, size_t len)
{
    struct workload *w = pw_workload_new("workload");
    pw_workload_add_file(w, pw_slice(text, len));
    pw_workload_free(w);
}

/* Lists of values: any text is read without harm, and what was read can be written and read again.
 */
static void values(const char *text)
{
    char *value, *again;
    while (pw_sample_next(&text, &value)) {
        struct buf b;
        pw_buf_init(&b, 1 << 16);
        bool ok = value ? pw_quote_literal(&b, value) : pw_buf_append_str(&b, "NULL");
        if (!ok || !pw_buf_append_u8(&b, 0))
            abort();
        const char *list = b.data;
        if (!pw_sample_next(&list, &again) || *list || !value != !again ||
            (value && strcmp(value, again) != 0))
            abort();
        pw_free(value);
        pw_free(again);
        pw_buf_free(&b);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096)
        return 0;
    char *text = pw_strndup((const char *)data + 1, size - 1);
    struct plan_facts facts;
    if (data[0] == 'V')
        values(text);
    switch (data[0] % 3) {
    case 0:
        pw_plan_read(text, &facts);
        break;
    case 1:
        arrays(text);
        break;
    default:
        if (size < 512)
            workload(text, size - 1);
    }
    pw_free(text);
    return 0;
}
