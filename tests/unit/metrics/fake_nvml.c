/* A libnvidia-ml.so.1 of two devices, one of which knows little: built by test_gpu at run time. */
#include <stdio.h>
#include <string.h>

struct utilization {
    unsigned gpu, memory;
};
struct memory {
    unsigned long long total, free, used;
};

static int devices[2] = {0, 1};

int nvmlInit_v2(void)
{
    return 0;
}
int nvmlShutdown(void)
{
    return 0;
}
int nvmlDeviceGetCount_v2(unsigned *n)
{
    *n = 3;
    return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device)
{
    if (i > 1)
        return 15; /* lost */
    *device = &devices[i];
    return 0;
}
int nvmlDeviceGetName(void *device, char *out, unsigned size)
{
    snprintf(out, size, "Fake %d", *(int *)device);
    return 0;
}
int nvmlDeviceGetUUID(void *device, char *out, unsigned size)
{
    snprintf(out, size, "GPU-%d", *(int *)device);
    return 0;
}
int nvmlDeviceGetUtilizationRates(void *device, struct utilization *out)
{
    out->gpu = 42;
    out->memory = 7;
    return *(int *)device ? 3 : 0;
}
int nvmlDeviceGetMemoryInfo(void *device, struct memory *out)
{
    out->total = 8000000000ull;
    out->used = 2000000000ull + (unsigned long long)*(int *)device;
    out->free = out->total - out->used;
    return 0;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius)
{
    *celsius = sensor == 0 ? 55 : 0;
    return *(int *)device ? 3 : 0;
}
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts)
{
    *milliwatts = 123456;
    return *(int *)device ? 3 : 0;
}
