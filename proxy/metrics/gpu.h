/*
 * GPUs of the host, from NVML (NVIDIA, loaded at run time) and sysfs (AMD). A value the device or
 * driver does not give is NAN. No GPU, no library, no driver: no rows and no noise.
 * Thread: the one that made the reader. A driver call takes milliseconds, rarely more.
 */
#ifndef PROXY_METRICS_GPU_H
#define PROXY_METRICS_GPU_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/attrs.h"

enum { PW_GPUS_MAX = 32 };

struct gpu_sample {
    char index[16]; /* "0", "card1" */
    char uuid[96], name[96];
    const char *vendor;       /* static: "nvidia", "amd" */
    double utilization_ratio; /* 0..1 */
    double memory_used_bytes, memory_total_bytes;
    double temperature_celsius, power_watts;
};

struct gpu_nvml; /* the loaded library */

/* path NULL: $PGWEIR_NVML, else libnvidia-ml.so.1. NULL when there is none that works. */
PW_MUSTUSE struct gpu_nvml *pw_gpu_nvml_open(const char *path);
void pw_gpu_nvml_close(struct gpu_nvml *n); /* NULL is allowed */
size_t pw_gpu_nvml_read(struct gpu_nvml *n, struct gpu_sample *out, size_t max);

/* sys is "/sys", or a test's copy. */
size_t pw_gpu_amd_read(const char *sys, struct gpu_sample *out, size_t max);

#endif
