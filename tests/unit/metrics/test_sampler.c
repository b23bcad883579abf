/* Readings from copies of /proc and /sys and from a fake NVML; history and trend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/metrics/sampler.h"
#include "proxy/metrics/trend.h"

static char root[] = "/tmp/pgweir-sampler-XXXXXX";

static void put(const char *path, const char *text)
{
    char full[300];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + sizeof root, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void put_counters(unsigned busy, unsigned wait, unsigned long long written)
{
    char text[600];
    snprintf(text, sizeof text,
             "cpu  %u 0 0 1000 %u 0 0 0 0 0\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nbtime 100\n", busy, wait);
    put("proc/stat", text);
    snprintf(text, sizeof text, "rchar: 9\nread_bytes: 4096\nwrite_bytes: %llu\n", written);
    put("proc/self/io", text);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(root))
        return -1;
    put_counters(0, 0, 0);
    put("proc/self/stat",
        "12 (pg) we (ir) S 1 12 12 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1000 "
        "1000000 200\n");
    put("proc/self/status", "Name:\tpgweir\nVmSize:\t  2000 kB\nVmRSS:\t  1000 kB\nThreads:\t7\n");
    put("proc/self/fd/0", "");
    put("proc/self/fd/1", "");
    put("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\n");
    put("proc/loadavg", "0.50 0.25 0.10 1/100 1234\n");
    put("proc/diskstats", "   8       0 sda 10 0 100 5 20 0 200 5 0 1500 10\n"
                          "   8       1 sda1 10 0 100 5 20 0 200 5 0 1500 10\n"
                          " 253       0 dm-0 10 0 100 5 20 0 200 5 0 1500 10\n");
    put("sys/block/sda/stat", "");
    put("sys/block/dm-0/stat", "");
    put("proc/net/dev", "Inter-| Receive\n face |bytes\n"
                        "    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0\n"
                        "  eth0: 1000 10 1 0 0 0 0 0 2000 20 2 0 0 0 0 0\n");
    put("proc/pressure/io", "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n"
                            "full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n");
    put("sys/class/drm/card0/device/vendor", "0x10de\n");
    put("sys/class/drm/card1/device/vendor", "0x1002\n");
    put("sys/class/drm/card1/device/gpu_busy_percent", "37\n");
    put("sys/class/drm/card1/device/mem_info_vram_used", "1048576\n");
    put("sys/class/drm/card1/device/mem_info_vram_total", "4194304\n");
    put("sys/class/drm/card1/device/hwmon/hwmon3/temp1_input", "61000\n");
    put("sys/class/drm/card1/device/hwmon/hwmon3/power1_average", "75000000\n");
    return 0;
}

static int teardown(void **state)
{
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static char *under(const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", root, name);
    return out;
}

static void process_is_read(void **state)
{
    struct process_sample p;
    char proc[64];
    (void)state;
    pw_process_read(under("proc", proc, sizeof proc), &p);
    double ticks = (double)sysconf(_SC_CLK_TCK);
    assert_true(p.cpu_user_s == 250 / ticks && p.cpu_system_s == 50 / ticks);
    assert_true(p.start_time_s == 100 + 1000 / ticks);
    assert_int_equal(p.rss_bytes, 1000 * 1024);
    assert_int_equal(p.threads, 7);
    assert_int_equal(p.open_fds, 2);
    assert_int_equal(p.io_read_bytes, 4096);
}

static void this_process_is_read(void **state)
{
    struct process_sample p;
    struct host_sample h;
    (void)state;
    pw_process_read("/proc", &p);
    assert_true(p.rss_bytes > 0 && p.threads >= 1 && p.open_fds >= 3 && p.start_time_s > 1e9);
    pw_host_read("/proc", "/sys", &h);
    assert_true(h.processors >= 1 && h.memory_total > 0 && h.cpu_s[HOST_CPU_IDLE] > 0);
}

static void host_is_read(void **state)
{
    struct host_sample h;
    char proc[64], sys[64];
    (void)state;
    pw_host_read(under("proc", proc, sizeof proc), under("sys", sys, sizeof sys), &h);
    assert_int_equal(h.processors, 2);
    assert_int_equal(h.memory_available, 400 * 1024);
    assert_true(h.load5 == 0.25);
    assert_int_equal(h.disk_reads, 10); /* neither the partition nor dm-0 on top of it */
    assert_int_equal(h.disk_write_bytes, 200 * 512);
    assert_true(h.disk_io_time_s == 1.5);
    assert_int_equal(h.net_rx_bytes, 1000); /* not lo */
    assert_int_equal(h.net_tx_packets, 20);
    assert_int_equal(h.net_errors, 3);
    assert_true(h.has_pressure && h.pressure_io_s == 2.5);
}

static void nothing_there_is_zero(void **state)
{
    struct process_sample p;
    struct host_sample h;
    struct gpu_sample g[2];
    (void)state;
    pw_process_read("/nonexistent", &p);
    pw_host_read("/nonexistent", "/nonexistent", &h);
    assert_int_equal(p.rss_bytes + h.memory_total + h.processors, 0);
    assert_int_equal(pw_gpu_amd_read("/nonexistent", g, 2), 0);
    assert_null(pw_gpu_nvml_open("/nonexistent/libnvidia-ml.so.1"));
}

static void amd_is_read(void **state)
{
    struct gpu_sample g[4];
    char sys[64];
    (void)state;
    assert_int_equal(pw_gpu_amd_read(under("sys", sys, sizeof sys), g, 4), 1);
    assert_string_equal(g[0].index, "card1");
    assert_true(g[0].utilization_ratio == 0.37 && g[0].memory_used_bytes == 1048576);
    assert_true(g[0].temperature_celsius == 61 && g[0].power_watts == 75);
}

static void build_fake_nvml(char *path, size_t size)
{
    char command[600];
    under("libnvidia-ml.so.1", path, size);
    snprintf(command, sizeof command,
             "cc -shared -fPIC -o '%s' '%s/tests/unit/metrics/fake_nvml.c'", path, PW_SOURCE_DIR);
    assert_int_equal(system(command), 0);
}

static void nvml_is_read(void **state)
{
    struct gpu_sample g[4];
    char path[100];
    (void)state;
    build_fake_nvml(path, sizeof path);
    struct gpu_nvml *n = pw_gpu_nvml_open(path);
    assert_non_null(n);
    assert_int_equal(pw_gpu_nvml_read(n, g, 4), 2); /* the third is lost */
    assert_string_equal(g[0].name, "Fake 0");
    assert_string_equal(g[1].uuid, "GPU-1");
    assert_true(g[0].utilization_ratio == 0.42 && g[0].temperature_celsius == 55);
    assert_true(fabs(g[0].power_watts - 123.456) < 1e-9);
    assert_true(isnan(g[1].utilization_ratio) && isnan(g[1].power_watts));
    assert_true(g[1].memory_used_bytes == 2000000001.0);
    assert_int_equal(pw_gpu_nvml_read(n, g, 1), 1);
    pw_gpu_nvml_close(n);
}

static void rates_are_per_second(void **state)
{
    char proc[64], sys[64];
    under("proc", proc, sizeof proc);
    under("sys", sys, sizeof sys);
    const struct sampler_options options = {.history = 3, .gpu = true, .proc = proc, .sys = sys};
    (void)state;
    setenv("PGWEIR_NVML", "/nonexistent", 1);
    struct sampler *s = pw_sampler_new(&options);
    pw_sampler_take(s, 1000000, 5000000);
    assert_int_equal(pw_history_count(pw_sampler_history(s)), 0);
    pw_metric_add(pw_metrics_slot(2), PW_METRIC_REQUESTS, 300);
    pw_metric_observe(pw_metrics_slot(2), PW_HIST_QUERY, 1000);
    put_counters(300, 100, 2000);
    pw_sampler_take(s, 3000000, 7000000);
    const struct history_sample *h = pw_history_at(pw_sampler_history(s), 0);
    assert_non_null(h);
    assert_true(h->requests_per_s == 150 && h->io_write_bps == 1000);
    assert_true(h->host_cpu_ratio == 0.75 && h->iowait_ratio == 0.25);
    assert_true(fabs(h->p50_s - 0.001) < 0.00005);
    assert_true(h->gpu_ratio == 0.37);
    put_counters(0, 0, 0); /* counters that went back count as standing still */
    pw_sampler_take(s, 4000000, 8000000);
    h = pw_history_at(pw_sampler_history(s), 0);
    assert_true(h->io_write_bps == 0 && h->requests_per_s == 0 && isnan(h->p50_s));
    struct buf json;
    pw_buf_init(&json, 100000);
    assert_true(pw_sampler_render_history(s, 10, &json));
    assert_true(pw_buf_append_u8(&json, 0));
    assert_memory_equal(json.data, "{\"t\":[7000,8000],", 17);
    assert_non_null(strstr(json.data, "\"rps\":[150,0]"));
    assert_non_null(strstr(json.data, "\"p50_ms\":[")); /* null where there was no request */
    assert_non_null(strstr(json.data, ",null]"));
    pw_buf_free(&json);
    pw_sampler_free(s);
}

static void history_keeps_the_newest(void **state)
{
    struct history *h = pw_history_new(3);
    (void)state;
    assert_null(pw_history_at(h, 0));
    for (uint64_t i = 1; i <= 5; i++)
        pw_history_push(h, &(struct history_sample){.wall_us = i});
    assert_int_equal(pw_history_count(h), 3);
    assert_int_equal(pw_history_at(h, 0)->wall_us, 5);
    assert_int_equal(pw_history_at(h, 2)->wall_us, 3);
    assert_null(pw_history_at(h, 3));
    pw_history_free(h);
}

static void trend_is_a_line(void **state)
{
    struct history *h = pw_history_new(500);
    struct trend t;
    (void)state;
    pw_trend_read(h, &t);
    assert_int_equal(t.samples, 0);
    for (uint64_t i = 0; i < 250; i++) { /* one per second; the first 150 must not count */
        uint64_t rss = i < 150 ? 1u << 30 : 1000000 + (i - 150) * 100;
        pw_history_push(h, &(struct history_sample){.wall_us = 1700000000000000u + i * 1000000,
                                                    .cpu_cores = 0.5 + 0.01 * (double)i,
                                                    .rss_bytes = rss,
                                                    .iowait_ratio = 0.1,
                                                    .io_read_bps = 1e6});
    }
    pw_trend_read(h, &t);
    assert_int_equal(t.samples, PW_TREND_SAMPLES);
    assert_true(t.seconds == 99);
    assert_true(fabs(t.cpu_slope_per_min - 0.6) < 1e-6);
    assert_true(fabs(t.memory_slope_per_min - 6000) < 1e-3);
    assert_true(fabs(t.cpu_average - (0.5 + 0.01 * 199.5)) < 1e-9);
    assert_int_equal(t.memory_peak, 1000000 + 99 * 100);
    assert_false(t.io_intensive);
    for (int i = 0; i < 100; i++)
        pw_history_push(h, &(struct history_sample){.io_write_bps = 60.0 * 1024 * 1024});
    pw_trend_read(h, &t);
    assert_true(t.io_intensive);
    assert_true(t.cpu_slope_per_min == 0); /* no time passed between them */
    pw_history_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process_is_read),      cmocka_unit_test(this_process_is_read),
        cmocka_unit_test(host_is_read),         cmocka_unit_test(nothing_there_is_zero),
        cmocka_unit_test(amd_is_read),          cmocka_unit_test(nvml_is_read),
        cmocka_unit_test(rates_are_per_second), cmocka_unit_test(history_keeps_the_newest),
        cmocka_unit_test(trend_is_a_line),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
