/* Any bytes as pg_hba.conf, then a few clients. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/hba.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct conf_errors errors;
    struct hba *h = pw_hba_parse((const char *)data, size, "fuzz", &errors);
    if (h) {
        pw_hba_match(h, true, false, NULL, "all", "a");
        pw_hba_match(h, false, false, (const struct sockaddr *)&v4, "db1", "u1");
        pw_hba_match(h, false, true, (const struct sockaddr *)&v6, "a", "a");
    }
    pw_hba_free(h);
    pw_conf_errors_free(&errors);
    return 0;
}
