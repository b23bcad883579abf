/* Owns the slots. Each is written by its thread alone; reading needs no lock. */
#include "proxy/metrics/metrics.h"

#include "proxy/base/check.h"

enum { NAMED_SLOTS = 3, SLOT_COUNT = PW_SLOT_WORKERS_MAX + NAMED_SLOTS };

static struct metric_slot slots[SLOT_COUNT]; /* untouched pages cost nothing */

static const struct {
    enum metric_type type;
    const char *name, *help;
} rows[] = {
#define METRIC(id, type, name, help) {PW_METRIC_##type, name, help},
#define HISTOGRAM(id, unit, name, help)
#include "proxy/metrics/metrics.def"
#undef METRIC
#undef HISTOGRAM
};

static const struct {
    enum metric_unit unit;
    const char *name, *help;
} hist_rows[] = {
#define METRIC(id, type, name, help)
#define HISTOGRAM(id, unit, name, help) {PW_UNIT_##unit, name, help},
#include "proxy/metrics/metrics.def"
#undef METRIC
#undef HISTOGRAM
};

struct metric_slot *pw_metrics_slot(int worker)
{
    PW_CHECK(worker >= PW_SLOT_ADVISOR && worker < PW_SLOT_WORKERS_MAX);
    return &slots[worker + NAMED_SLOTS];
}

uint64_t pw_metric_read(enum metric m)
{
    uint64_t sum = 0;
    for (int i = 0; i < SLOT_COUNT; i++)
        sum += atomic_load_explicit(&slots[i].values[m], memory_order_relaxed);
    if (rows[m].type == PW_METRIC_GAUGE && sum > INT64_MAX)
        return 0; /* one slot's decrement was seen before another's increment */
    return sum;
}

double pw_metric_value(enum metric m)
{
    double v = (double)pw_metric_read(m);
    return rows[m].type == PW_METRIC_COUNTER_US || rows[m].type == PW_METRIC_GAUGE_PPM ? v / 1e6
                                                                                       : v;
}

void pw_metric_hist_read(enum metric_hist h, struct hist_view *out)
{
    *out = (struct hist_view){0};
    for (int i = 0; i < SLOT_COUNT; i++)
        if (atomic_load_explicit(&slots[i].hists[h].max, memory_order_relaxed) ||
            atomic_load_explicit(&slots[i].hists[h].buckets[0], memory_order_relaxed))
            pw_hist_merge(out, &slots[i].hists[h]);
}

const char *pw_metric_name(enum metric m)
{
    return rows[m].name;
}

const char *pw_metric_help(enum metric m)
{
    return rows[m].help;
}

enum metric_type pw_metric_type(enum metric m)
{
    return rows[m].type;
}

const char *pw_metric_hist_name(enum metric_hist h)
{
    return hist_rows[h].name;
}

const char *pw_metric_hist_help(enum metric_hist h)
{
    return hist_rows[h].help;
}

enum metric_unit pw_metric_hist_unit(enum metric_hist h)
{
    return hist_rows[h].unit;
}
