#include "proxy/metrics/trend.h"

#include <string.h>

struct line_fit { /* sums for a least-squares line; x from the first sample's time, in minutes */
    double n, x, y, xx, xy;
};

static void add(struct line_fit *f, double x, double y)
{
    f->n += 1;
    f->x += x;
    f->y += y;
    f->xx += x * x;
    f->xy += x * y;
}

static double slope(const struct line_fit *f)
{
    double spread = f->n * f->xx - f->x * f->x;
    return spread > 0 ? (f->n * f->xy - f->x * f->y) / spread : 0;
}

void pw_trend_read(const struct history *h, struct trend *out)
{
    struct line_fit cpu = {0}, memory = {0};
    size_t n = pw_history_count(h);
    memset(out, 0, sizeof *out);
    n = n < PW_TREND_SAMPLES ? n : PW_TREND_SAMPLES;
    if (n == 0)
        return;
    const struct history_sample *oldest = pw_history_at(h, n - 1), *newest = pw_history_at(h, 0);
    for (size_t i = 0; i < n; i++) {
        const struct history_sample *s = pw_history_at(h, i);
        double minutes = ((double)s->wall_us - (double)oldest->wall_us) / 60e6;
        add(&cpu, minutes, s->cpu_cores);
        add(&memory, minutes, (double)s->rss_bytes - (double)oldest->rss_bytes);
        if (s->rss_bytes > out->memory_peak)
            out->memory_peak = s->rss_bytes;
        out->io_bps += (s->io_read_bps + s->io_write_bps) / (double)n;
        out->iowait_ratio += s->iowait_ratio / (double)n;
    }
    out->samples = n;
    out->seconds = ((double)newest->wall_us - (double)oldest->wall_us) / 1e6;
    out->cpu_average = cpu.y / cpu.n;
    out->cpu_slope_per_min = slope(&cpu);
    out->memory_slope_per_min = slope(&memory);
    out->io_intensive = out->iowait_ratio > PW_TREND_IOWAIT_RATIO || out->io_bps > PW_TREND_IO_BPS;
}
