/* Any bytes as pgbouncer.ini; what comes out goes through the loader. room: control */
#include <stddef.h>
#include <stdint.h>

#include "proxy/control/import_pgbouncer.h"

enum { OUT_MAX = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_sources sources = {0};
    struct conf_errors errors;
    struct pw_conf *conf;
    struct buf out;
    pw_buf_init(&out, OUT_MAX);
    bool good = pw_import_pgbouncer(pw_slice((const char *)data, size), "fuzz", &out, &errors);
    pw_conf_errors_free(&errors);
    if (good) {
        if (pw_conf_load_text(out.data, out.len, "out", &sources, &conf, &errors) == PW_OK)
            pw_conf_unref(conf);
        pw_conf_errors_free(&errors);
    }
    pw_buf_free(&out);
    return 0;
}
