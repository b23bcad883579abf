/*
 * NVML without its header: the prototypes below are those of nvml.h, which has kept them stable
 * since version 8. Owns the library handle.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/log.h"
#include "proxy/metrics/gpu.h"

typedef void *nvml_device; /* an opaque handle of the library, not ours to name better */

enum { NVML_SUCCESS = 0, NVML_TEMPERATURE_GPU = 0 };

struct nvml_utilization {
    unsigned gpu, memory; /* percent */
};
struct nvml_memory {
    unsigned long long total, free, used;
};

struct gpu_nvml {
    void *library; /* OWN */
    int (*init)(void);
    int (*shutdown)(void);
    int (*count)(unsigned *n);
    int (*by_index)(unsigned i, nvml_device *device);
    int (*name)(nvml_device device, char *out, unsigned size);
    int (*uuid)(nvml_device device, char *out, unsigned size);
    int (*utilization)(nvml_device device, struct nvml_utilization *out);
    int (*memory)(nvml_device device, struct nvml_memory *out);
    int (*temperature)(nvml_device device, int sensor, unsigned *celsius);
    int (*power)(nvml_device device, unsigned *milliwatts);
};

/* ISO C has no cast from void * to a function pointer; POSIX says the bits are the same. */
static bool bind_symbol(void *library, const char *name, void *slot)
{
    void *symbol = dlsym(library, name);
    memcpy(slot, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool bind_all(struct gpu_nvml *n)
{
    return bind_symbol(n->library, "nvmlInit_v2", &n->init) &&
           bind_symbol(n->library, "nvmlShutdown", &n->shutdown) &&
           bind_symbol(n->library, "nvmlDeviceGetCount_v2", &n->count) &&
           bind_symbol(n->library, "nvmlDeviceGetHandleByIndex_v2", &n->by_index) &&
           bind_symbol(n->library, "nvmlDeviceGetName", &n->name) &&
           bind_symbol(n->library, "nvmlDeviceGetUUID", &n->uuid) &&
           bind_symbol(n->library, "nvmlDeviceGetUtilizationRates", &n->utilization) &&
           bind_symbol(n->library, "nvmlDeviceGetMemoryInfo", &n->memory) &&
           bind_symbol(n->library, "nvmlDeviceGetTemperature", &n->temperature) &&
           bind_symbol(n->library, "nvmlDeviceGetPowerUsage", &n->power);
}

struct gpu_nvml *pw_gpu_nvml_open(const char *path)
{
    const char *wanted = path ? path : getenv("PGWEIR_NVML");
    struct gpu_nvml *n = pw_alloc(sizeof *n);
    n->library = dlopen(wanted && *wanted ? wanted : "libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (n->library && bind_all(n) && n->init() == NVML_SUCCESS)
        return n;
    if (n->library)
        dlclose(n->library);
    pw_free(n);
    return NULL;
}

void pw_gpu_nvml_close(struct gpu_nvml *n)
{
    if (!n)
        return;
    n->shutdown();
    dlclose(n->library);
    pw_free(n);
}

static void read_device(const struct gpu_nvml *n, nvml_device device, struct gpu_sample *out)
{
    struct nvml_utilization utilization;
    struct nvml_memory memory;
    unsigned value;
    out->vendor = "nvidia";
    if (n->name(device, out->name, sizeof out->name) != NVML_SUCCESS)
        snprintf(out->name, sizeof out->name, "unknown");
    if (n->uuid(device, out->uuid, sizeof out->uuid) != NVML_SUCCESS)
        out->uuid[0] = '\0';
    out->name[sizeof out->name - 1] = out->uuid[sizeof out->uuid - 1] = '\0';
    bool ok = n->utilization(device, &utilization) == NVML_SUCCESS;
    out->utilization_ratio = ok ? (double)utilization.gpu / 100 : NAN;
    ok = n->memory(device, &memory) == NVML_SUCCESS;
    out->memory_used_bytes = ok ? (double)memory.used : NAN;
    out->memory_total_bytes = ok ? (double)memory.total : NAN;
    ok = n->temperature(device, NVML_TEMPERATURE_GPU, &value) == NVML_SUCCESS;
    out->temperature_celsius = ok ? (double)value : NAN;
    ok = n->power(device, &value) == NVML_SUCCESS;
    out->power_watts = ok ? (double)value / 1000 : NAN;
}

size_t pw_gpu_nvml_read(struct gpu_nvml *n, struct gpu_sample *out, size_t max)
{
    unsigned count = 0;
    size_t rows = 0;
    if (n->count(&count) != NVML_SUCCESS)
        return 0;
    for (unsigned i = 0; i < count && rows < max; i++) {
        nvml_device device;
        if (n->by_index(i, &device) != NVML_SUCCESS)
            continue; /* fell off the bus, or not ours to see */
        memset(&out[rows], 0, sizeof out[rows]);
        snprintf(out[rows].index, sizeof out[rows].index, "%u", i);
        read_device(n, device, &out[rows++]);
    }
    return rows;
}
