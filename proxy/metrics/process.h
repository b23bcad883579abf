/* One reading of /proc/self. Fields that cannot be read are 0. Any thread; a few system calls. */
#ifndef PROXY_METRICS_PROCESS_H
#define PROXY_METRICS_PROCESS_H

#include <stdint.h>

struct process_sample {
    double cpu_user_s, cpu_system_s, start_time_s; /* start_time: seconds since 1970 */
    uint64_t rss_bytes, virtual_bytes, threads;
    uint64_t io_read_bytes, io_write_bytes; /* that reached storage */
    uint64_t open_fds, max_fds;
};

/* root is "/proc", or a test's copy of it. */
void pw_process_read(const char *root, struct process_sample *out);

#endif
