#include "proxy/metrics/process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/metrics/procfile.h"

/* The command name in stat is in parentheses and may hold anything, so fields count from the last
 * ')': utime is the 12th after it, stime the 13th, start time the 20th. */
static void read_stat(const char *root, struct process_sample *out)
{
    char text[1024];
    unsigned long long utime, stime, start;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    if (!pw_procfile_read(text, sizeof text, "%s/self/stat", root))
        return;
    const char *rest = strrchr(text, ')');
    if (!rest || sscanf(rest + 1,
                        " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d "
                        "%*d %*d %llu",
                        &utime, &stime, &start) != 3)
        return;
    out->cpu_user_s = (double)utime / ticks;
    out->cpu_system_s = (double)stime / ticks;
    char host[8192];
    if (pw_procfile_read(host, sizeof host, "%s/stat", root))
        out->start_time_s = (double)pw_procfile_number(host, "btime ") + (double)start / ticks;
}

static uint64_t count_entries(const char *root, const char *what)
{
    char path[512];
    uint64_t n = 0;
    snprintf(path, sizeof path, "%s/self/%s", root, what);
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

void pw_process_read(const char *root, struct process_sample *out)
{
    char text[4096];
    struct rlimit limit;
    memset(out, 0, sizeof *out);
    read_stat(root, out);
    if (pw_procfile_read(text, sizeof text, "%s/self/status", root)) {
        out->rss_bytes = pw_procfile_number(text, "VmRSS:") * 1024;
        out->virtual_bytes = pw_procfile_number(text, "VmSize:") * 1024;
        out->threads = pw_procfile_number(text, "Threads:");
    }
    if (pw_procfile_read(text, sizeof text, "%s/self/io", root)) {
        out->io_read_bytes = pw_procfile_number(text, "read_bytes:");
        out->io_write_bytes = pw_procfile_number(text, "write_bytes:");
    }
    out->open_fds = count_entries(root, "fd");
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        out->max_fds = (uint64_t)limit.rlim_cur;
}
