/* AMD GPUs as the amdgpu driver shows them: /sys/class/drm/cardN/device. Owns nothing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/metrics/gpu.h"
#include "proxy/metrics/procfile.h"

enum { CARDS_MAX = 64, HWMON_MAX = 32 };

static bool read_text(const char *dir, const char *file, char *out, size_t size)
{
    if (!pw_procfile_read(out, size, "%s/%s", dir, file))
        return false;
    out[strcspn(out, "\n")] = '\0';
    return true;
}

static double read_number(const char *dir, const char *file, double scale)
{
    char text[64], *end;
    if (!read_text(dir, file, text, sizeof text))
        return NAN;
    double v = strtod(text, &end);
    return end == text ? NAN : v / scale;
}

/* The hwmon number differs from boot to boot; a card has one directory of them. */
static double read_sensor(const char *dir, const char *file, double scale)
{
    for (int i = 0; i < HWMON_MAX; i++) {
        char path[64];
        snprintf(path, sizeof path, "hwmon/hwmon%d/%s", i, file);
        double v = read_number(dir, path, scale);
        if (!isnan(v))
            return v;
    }
    return NAN;
}

size_t pw_gpu_amd_read(const char *sys, struct gpu_sample *out, size_t max)
{
    size_t rows = 0;
    for (int card = 0; card < CARDS_MAX && rows < max; card++) {
        char dir[400], vendor[32];
        snprintf(dir, sizeof dir, "%s/class/drm/card%d/device", sys, card);
        if (!read_text(dir, "vendor", vendor, sizeof vendor) || strcmp(vendor, "0x1002") != 0)
            continue;
        struct gpu_sample *g = &out[rows++];
        memset(g, 0, sizeof *g);
        g->vendor = "amd";
        snprintf(g->index, sizeof g->index, "card%d", card);
        if (!read_text(dir, "product_name", g->name, sizeof g->name))
            snprintf(g->name, sizeof g->name, "AMD GPU");
        if (!read_text(dir, "unique_id", g->uuid, sizeof g->uuid))
            g->uuid[0] = '\0';
        g->utilization_ratio = read_number(dir, "gpu_busy_percent", 100);
        g->memory_used_bytes = read_number(dir, "mem_info_vram_used", 1);
        g->memory_total_bytes = read_number(dir, "mem_info_vram_total", 1);
        g->temperature_celsius = read_sensor(dir, "temp1_input", 1000);
        g->power_watts = read_sensor(dir, "power1_average", 1e6);
        if (isnan(g->power_watts))
            g->power_watts = read_sensor(dir, "power1_input", 1e6);
    }
    return rows;
}
