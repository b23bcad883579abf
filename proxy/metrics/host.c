#include "proxy/metrics/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/metrics/procfile.h"

enum { SECTOR = 512, FILE_MAX_BYTES = 65536 };

static const char *const mode_names[] = {"user",   "nice", "system",  "idle",
                                         "iowait", "irq",  "softirq", "steal"};

const char *pw_host_cpu_mode_name(enum host_cpu_mode m)
{
    return mode_names[m];
}

static void read_cpu(char *text, struct host_sample *out)
{
    double ticks = (double)sysconf(_SC_CLK_TCK);
    for (char *line = pw_procfile_line(&text); line; line = pw_procfile_line(&text)) {
        if (strncmp(line, "cpu", 3) != 0)
            continue;
        if (line[3] != ' ') {
            out->processors++;
            continue;
        }
        char *at = line + 4;
        for (int m = 0; m < HOST_CPU_MODES; m++)
            out->cpu_s[m] = (double)strtoull(at, &at, 10) / ticks;
    }
}

static void read_memory(const char *text, struct host_sample *out)
{
    out->memory_total = pw_procfile_number(text, "MemTotal:") * 1024;
    out->memory_free = pw_procfile_number(text, "MemFree:") * 1024;
    out->memory_available = pw_procfile_number(text, "MemAvailable:") * 1024;
    out->memory_buffers = pw_procfile_number(text, "Buffers:") * 1024;
    out->memory_cached = pw_procfile_number(text, "Cached:") * 1024;
    out->swap_total = pw_procfile_number(text, "SwapTotal:") * 1024;
    out->swap_free = pw_procfile_number(text, "SwapFree:") * 1024;
}

/* A whole disk of its own: partitions have no directory in /sys/block, and loop, ram, dm and md
 * devices would count the bytes of the disks below them again. */
static bool is_disk(const char *sys, const char *name)
{
    char path[512];
    if (strncmp(name, "loop", 4) == 0 || strncmp(name, "ram", 3) == 0 ||
        strncmp(name, "dm-", 3) == 0 || strncmp(name, "md", 2) == 0 ||
        strncmp(name, "zram", 4) == 0)
        return false;
    snprintf(path, sizeof path, "%s/block/%s", sys, name);
    return access(path, F_OK) == 0;
}

static void read_disks(char *text, const char *sys, struct host_sample *out)
{
    for (char *line = pw_procfile_line(&text); line; line = pw_procfile_line(&text)) {
        char name[64];
        unsigned long long reads, read_sectors, writes, written_sectors, io_ms;
        if (sscanf(line, "%*u %*u %63s %llu %*u %llu %*u %llu %*u %llu %*u %*u %llu", name, &reads,
                   &read_sectors, &writes, &written_sectors, &io_ms) != 6 ||
            !is_disk(sys, name))
            continue;
        out->disk_reads += reads;
        out->disk_writes += writes;
        out->disk_read_bytes += read_sectors * SECTOR;
        out->disk_write_bytes += written_sectors * SECTOR;
        out->disk_io_time_s += (double)io_ms / 1000;
    }
}

static void read_network(char *text, struct host_sample *out)
{
    for (char *line = pw_procfile_line(&text); line; line = pw_procfile_line(&text)) {
        unsigned long long rx, rx_packets, rx_errors, tx, tx_packets, tx_errors;
        char *colon = strchr(line, ':');
        if (!colon || sscanf(colon + 1, "%llu %llu %llu %*u %*u %*u %*u %*u %llu %llu %llu", &rx,
                             &rx_packets, &rx_errors, &tx, &tx_packets, &tx_errors) != 6)
            continue;
        *colon = '\0';
        if (strcmp(line + strspn(line, " "), "lo") == 0)
            continue;
        out->net_rx_bytes += rx;
        out->net_tx_bytes += tx;
        out->net_rx_packets += rx_packets;
        out->net_tx_packets += tx_packets;
        out->net_errors += rx_errors + tx_errors;
    }
}

static bool read_pressure(const char *proc, const char *what, double *seconds)
{
    char text[512];
    unsigned long long us;
    if (!pw_procfile_read(text, sizeof text, "%s/pressure/%s", proc, what))
        return false;
    const char *total = strstr(text, "total=");
    if (!total || sscanf(total, "total=%llu", &us) != 1)
        return false;
    *seconds = (double)us / 1e6;
    return true;
}

void pw_host_read(const char *proc, const char *sys, struct host_sample *out)
{
    static _Thread_local char text[FILE_MAX_BYTES];
    memset(out, 0, sizeof *out);
    if (pw_procfile_read(text, sizeof text, "%s/stat", proc))
        read_cpu(text, out);
    if (pw_procfile_read(text, sizeof text, "%s/meminfo", proc))
        read_memory(text, out);
    if (pw_procfile_read(text, sizeof text, "%s/loadavg", proc))
        sscanf(text, "%lf %lf %lf", &out->load1, &out->load5, &out->load15);
    if (pw_procfile_read(text, sizeof text, "%s/diskstats", proc))
        read_disks(text, sys, out);
    if (pw_procfile_read(text, sizeof text, "%s/net/dev", proc))
        read_network(text, out);
    bool cpu = read_pressure(proc, "cpu", &out->pressure_cpu_s);
    bool io = read_pressure(proc, "io", &out->pressure_io_s);
    bool memory = read_pressure(proc, "memory", &out->pressure_memory_s);
    out->has_pressure = cpu || io || memory;
}
