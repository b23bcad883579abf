/* One reading of the host from /proc. Fields that cannot be read are 0. Any thread. */
#ifndef PROXY_METRICS_HOST_H
#define PROXY_METRICS_HOST_H

#include <stdbool.h>
#include <stdint.h>

enum host_cpu_mode {
    HOST_CPU_USER,
    HOST_CPU_NICE,
    HOST_CPU_SYSTEM,
    HOST_CPU_IDLE,
    HOST_CPU_IOWAIT,
    HOST_CPU_IRQ,
    HOST_CPU_SOFTIRQ,
    HOST_CPU_STEAL,
    HOST_CPU_MODES
};
const char *pw_host_cpu_mode_name(enum host_cpu_mode m);

struct host_sample {
    double cpu_s[HOST_CPU_MODES]; /* all processors together, since boot */
    uint64_t processors;
    uint64_t memory_total, memory_free, memory_available, memory_buffers, memory_cached, swap_total,
        swap_free;
    double load1, load5, load15;
    uint64_t disk_reads, disk_writes, disk_read_bytes, disk_write_bytes; /* whole disks only */
    double disk_io_time_s;
    uint64_t net_rx_bytes, net_tx_bytes, net_rx_packets, net_tx_packets, net_errors; /* but lo */
    bool has_pressure; /* stall time since boot (PSI), seconds */
    double pressure_cpu_s, pressure_io_s, pressure_memory_s;
};

/* proc is "/proc" and sys is "/sys", or a test's copies. */
void pw_host_read(const char *proc, const char *sys, struct host_sample *out);

#endif
