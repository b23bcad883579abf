/* The newest reading as labelled metrics. Owns nothing; control thread. */
#include <math.h>

#include "proxy/base/attrs.h"
#include "proxy/metrics/sampler.h"

static void one(struct metric_writer *w, const char *name, enum family_type type, const char *help,
                double value)
{
    pw_metric_family(w, name, type, help);
    pw_metric_sample(w, PW_NO_LABELS, value);
}

static void put_process(struct metric_writer *w, const struct process_sample *p)
{
    one(w, "pgweir_process_cpu_seconds_total", FAMILY_COUNTER,
        "Processor time this process used, user and system.", p->cpu_user_s + p->cpu_system_s);
    pw_metric_family(w, "pgweir_process_cpu_mode_seconds_total", FAMILY_COUNTER,
                     "Processor time this process used, by mode.");
    pw_metric_sample(w, PW_LABELS({"mode", "user"}), p->cpu_user_s);
    pw_metric_sample(w, PW_LABELS({"mode", "system"}), p->cpu_system_s);
    one(w, "pgweir_process_start_time_seconds", FAMILY_GAUGE,
        "When this process started, seconds since 1970.", p->start_time_s);
    one(w, "pgweir_process_resident_memory_bytes", FAMILY_GAUGE, "Resident memory.",
        (double)p->rss_bytes);
    one(w, "pgweir_process_virtual_memory_bytes", FAMILY_GAUGE, "Virtual memory.",
        (double)p->virtual_bytes);
    one(w, "pgweir_process_threads", FAMILY_GAUGE, "Threads.", (double)p->threads);
    one(w, "pgweir_process_io_read_bytes_total", FAMILY_COUNTER, "Bytes read from storage.",
        (double)p->io_read_bytes);
    one(w, "pgweir_process_io_write_bytes_total", FAMILY_COUNTER, "Bytes written to storage.",
        (double)p->io_write_bytes);
    one(w, "pgweir_process_open_fds", FAMILY_GAUGE, "Open file descriptors.", (double)p->open_fds);
    one(w, "pgweir_process_max_fds", FAMILY_GAUGE, "Most file descriptors it may open.",
        (double)p->max_fds);
}

static void put_memory(struct metric_writer *w, const struct host_sample *h)
{
    const struct {
        const char *kind;
        uint64_t bytes;
    } rows[] = {
        {"total", h->memory_total},         {"free", h->memory_free},
        {"available", h->memory_available}, {"buffers", h->memory_buffers},
        {"cached", h->memory_cached},       {"swap_total", h->swap_total},
        {"swap_free", h->swap_free},
    };
    pw_metric_family(w, "pgweir_host_memory_bytes", FAMILY_GAUGE, "Memory of the host, by kind.");
    for (size_t i = 0; i < PW_COUNT_OF(rows); i++)
        pw_metric_sample(w, PW_LABELS({"kind", rows[i].kind}), (double)rows[i].bytes);
}

static void put_host(struct metric_writer *w, const struct host_sample *h)
{
    pw_metric_family(w, "pgweir_host_cpu_seconds_total", FAMILY_COUNTER,
                     "Processor time of the host, all processors, by mode.");
    for (int m = 0; m < HOST_CPU_MODES; m++)
        pw_metric_sample(w, PW_LABELS({"mode", pw_host_cpu_mode_name((enum host_cpu_mode)m)}),
                         h->cpu_s[m]);
    one(w, "pgweir_host_processors", FAMILY_GAUGE, "Processors of the host.",
        (double)h->processors);
    put_memory(w, h);
    one(w, "pgweir_host_load1", FAMILY_GAUGE, "Load average over one minute.", h->load1);
    one(w, "pgweir_host_load5", FAMILY_GAUGE, "Load average over five minutes.", h->load5);
    one(w, "pgweir_host_load15", FAMILY_GAUGE, "Load average over fifteen minutes.", h->load15);
    one(w, "pgweir_host_disk_reads_total", FAMILY_COUNTER, "Reads completed by disks.",
        (double)h->disk_reads);
    one(w, "pgweir_host_disk_writes_total", FAMILY_COUNTER, "Writes completed by disks.",
        (double)h->disk_writes);
    one(w, "pgweir_host_disk_read_bytes_total", FAMILY_COUNTER, "Bytes read from disks.",
        (double)h->disk_read_bytes);
    one(w, "pgweir_host_disk_written_bytes_total", FAMILY_COUNTER, "Bytes written to disks.",
        (double)h->disk_write_bytes);
    one(w, "pgweir_host_disk_io_time_seconds_total", FAMILY_COUNTER,
        "Time disks were busy, all disks added up.", h->disk_io_time_s);
    one(w, "pgweir_host_network_receive_bytes_total", FAMILY_COUNTER,
        "Bytes received, all interfaces but loopback.", (double)h->net_rx_bytes);
    one(w, "pgweir_host_network_transmit_bytes_total", FAMILY_COUNTER,
        "Bytes sent, all interfaces but loopback.", (double)h->net_tx_bytes);
    one(w, "pgweir_host_network_receive_packets_total", FAMILY_COUNTER,
        "Packets received, all interfaces but loopback.", (double)h->net_rx_packets);
    one(w, "pgweir_host_network_transmit_packets_total", FAMILY_COUNTER,
        "Packets sent, all interfaces but loopback.", (double)h->net_tx_packets);
    one(w, "pgweir_host_network_errors_total", FAMILY_COUNTER, "Network errors.",
        (double)h->net_errors);
    if (!h->has_pressure)
        return;
    pw_metric_family(w, "pgweir_host_pressure_waiting_seconds_total", FAMILY_COUNTER,
                     "Time some task of the host waited for the resource.");
    pw_metric_sample(w, PW_LABELS({"resource", "cpu"}), h->pressure_cpu_s);
    pw_metric_sample(w, PW_LABELS({"resource", "io"}), h->pressure_io_s);
    pw_metric_sample(w, PW_LABELS({"resource", "memory"}), h->pressure_memory_s);
}

static void put_gpu_value(struct metric_writer *w, const char *name, const char *help,
                          const struct gpu_sample *g, double value)
{
    if (isnan(value))
        return; /* what the device does not say is absent, not zero */
    pw_metric_family(w, name, FAMILY_GAUGE, help);
    pw_metric_sample(w, PW_LABELS({"gpu", g->index}, {"uuid", g->uuid}, {"name", g->name}), value);
}

static void put_gpu(struct metric_writer *w, const struct gpu_sample *g)
{
    put_gpu_value(w, "pgweir_gpu_utilization_ratio", "Share of time the GPU was busy.", g,
                  g->utilization_ratio);
    put_gpu_value(w, "pgweir_gpu_memory_used_bytes", "GPU memory in use.", g, g->memory_used_bytes);
    put_gpu_value(w, "pgweir_gpu_memory_total_bytes", "GPU memory.", g, g->memory_total_bytes);
    put_gpu_value(w, "pgweir_gpu_temperature_celsius", "GPU temperature.", g,
                  g->temperature_celsius);
    put_gpu_value(w, "pgweir_gpu_power_watts", "GPU power draw.", g, g->power_watts);
}

void pw_sampler_collect(struct metric_writer *w, void *sampler)
{
    const struct reading *r = pw_sampler_latest(sampler);
    pw_metric_family(w, "pgweir_build_info", FAMILY_GAUGE, "1, with the version as a label.");
    pw_metric_sample(w, PW_LABELS({"version", PW_VERSION}), 1);
    if (r->mono_us == 0)
        return;
    put_process(w, &r->process);
    put_host(w, &r->host);
    for (size_t i = 0; i < r->n_gpus; i++)
        put_gpu(w, &r->gpus[i]);
}
