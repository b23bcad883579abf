/* Any bytes as a configuration file: errors or a snapshot that can be asked everything, never more
 * than that. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_change(void *arg, const char *key, const char *old_value, const char *new_value,
                      bool needs_restart)
{
    (void)arg, (void)key, (void)old_value, (void)new_value, (void)needs_restart;
    abort(); /* a snapshot does not differ from itself */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_sources sources = {.upstream_optional = true};
    struct conf_errors errors;
    struct pw_conf *conf;
    if (pw_conf_load_text((const char *)data, size, "fuzz", &sources, &conf, &errors) == PW_OK) {
        struct conf_setting s;
        for (size_t i = 0; pw_conf_setting(conf, i, &s); i++)
            if (pw_conf_get(conf, s.key) == NULL)
                abort();
        pw_conf_diff(conf, conf, on_change, NULL);
        pw_conf_unref(conf);
    } else if (errors.n == 0) {
        abort();
    }
    pw_conf_errors_free(&errors);
    return 0;
}
