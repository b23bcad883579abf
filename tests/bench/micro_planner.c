/*
 * What knowing a statement costs: the scan, the known plan (scan and look-up), next to passing the
 * bytes on unread, libpg_query's fingerprint and the whole analysis, in the same run. Prints the
 * best of ten rounds in nanoseconds per statement; asserts nothing.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "planner/limits.h"
#include "planner/parse.h"
#include "planner/planner.h"
#include "planner/template.h"

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void on_plan(struct plan_waiter *w, const struct plan *plan)
{
    pw_plan_unref(plan);
    w->job = NULL;
}

/* What a proxy that looks at no SQL does with a Query: its type and length, and the bytes go on. */
static void pass_through(char *out, struct slice sql)
{
    uint32_t len = (uint32_t)sql.len + 5;
    out[0] = 'Q';
    memcpy(out + 1, &len, 4);
    memcpy(out + 5, sql.ptr, sql.len);
    __asm__ volatile("" : : "r"(out) : "memory");
}

int main(void)
{
    static const char *const statements[] = {
        "SELECT 1",
        "SELECT abalance FROM pgbench_accounts WHERE aid = 12345",
        "UPDATE pgbench_accounts SET abalance = abalance + -4711 WHERE aid = 12345",
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, 3, 4, "
        "CURRENT_TIMESTAMP)",
        "SELECT o.id, o.total, c.name, p.title FROM orders o JOIN customers c ON c.id = "
        "o.customer_id "
        "JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.id = l.product_id WHERE "
        "c.country = 'IT' "
        "AND o.created_at > '2024-01-01' AND p.price > 99.50 ORDER BY o.created_at DESC LIMIT 20",
        "select s_name, count(*) as numwait from supplier, lineitem l1, orders, nation where "
        "s_suppkey = l1.l_suppkey "
        "and o_orderkey = l1.l_orderkey and o_orderstatus = 'F' and l1.l_receiptdate > "
        "l1.l_commitdate and exists "
        "(select * from lineitem l2 where l2.l_orderkey = l1.l_orderkey and l2.l_suppkey <> "
        "l1.l_suppkey) and not "
        "exists (select * from lineitem l3 where l3.l_orderkey = l1.l_orderkey and l3.l_suppkey <> "
        "l1.l_suppkey "
        "and l3.l_receiptdate > l3.l_commitdate) and s_nationkey = n_nationkey and n_name = 'SAUDI "
        "ARABIA' "
        "group by s_name order by numwait desc, s_name limit 100",
    };
    enum { ROUNDS = 20000, PARSE_ROUNDS = 300, TIMES = 10 };
    static char scratch[LIMIT_SQL_BYTES];
    static struct template_slot slots[LIMIT_SLOTS];
    struct template t = {
        .text = scratch, .cap = sizeof scratch, .slots = slots, .cap_slots = LIMIT_SLOTS};
    struct template_options options = {.standard_conforming_strings = true};
    uv_loop_t uv;
    struct mailbox box;
    if (uv_loop_init(&uv) != 0)
        return 1;
    pw_mailbox_init(&box, &uv);
    struct planner *planner = pw_planner_new(NULL);
    struct plan_memo *memo = pw_plan_memo_new(planner, &box, 1000);
    const struct plan_context *ctx =
        pw_plan_context(planner, &(struct plan_context_key){.database_id = 1,
                                                            .user = "u",
                                                            .standard_conforming_strings = true,
                                                            .encoding_is_safe = true});
    static char relay[LIMIT_SQL_BYTES];
    printf("%8s %9s %9s %9s %13s %12s\n", "bytes", "pass_ns", "scan_ns", "known_ns",
           "fingerprint_ns", "analysis_ns");
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        struct slice sql = pw_slice_str(statements[i]);
        struct plan_waiter w = {.on_plan = on_plan};
        double best[5] = {1e12, 1e12, 1e12, 1e12, 1e12};
        if (!pw_plan_get(memo, ctx, sql, &w)) {
            while (w.job)
                uv_run(&uv, UV_RUN_ONCE);
        }
        for (int round = 0; round < TIMES; round++) {
            double at[6];
            at[0] = now_ns();
            for (int k = 0; k < ROUNDS; k++)
                pass_through(relay, sql);
            at[1] = now_ns();
            for (int k = 0; k < ROUNDS; k++)
                pw_template_scan(&t, sql, &options);
            at[2] = now_ns();
            for (int k = 0; k < ROUNDS; k++)
                pw_plan_get(memo, ctx, sql, &w);
            at[3] = now_ns();
            for (int k = 0; k < PARSE_ROUNDS; k++)
                (void)pw_parse_fingerprint(statements[i]);
            at[4] = now_ns();
            for (int k = 0; k < PARSE_ROUNDS; k++) {
                struct parsed p;
                if (pw_parse(statements[i], &p))
                    pw_parsed_free(&p);
            }
            at[5] = now_ns();
            for (int k = 0; k < 5; k++) {
                double each = (at[k + 1] - at[k]) / (k < 3 ? ROUNDS : PARSE_ROUNDS);
                best[k] = each < best[k] ? each : best[k];
            }
        }
        printf("%8zu %9.0f %9.0f %9.0f %13.0f %12.0f  fingerprint/known %.0fx\n", sql.len, best[0],
               best[1], best[2], best[3], best[4], best[3] / best[2]);
    }
    pw_plan_memo_free(memo);
    pw_mailbox_close(&box);
    uv_run(&uv, UV_RUN_DEFAULT);
    pw_mailbox_destroy(&box);
    pw_planner_free(planner);
    return uv_loop_close(&uv);
}
