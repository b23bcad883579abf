/* room: wire */
/* Secrets in any form: md5 hashes, verifiers, base64. What parses must print as it was. */
#include <stdint.h>

#include "proxy/base/check.h"
#include "proxy/wire/base64.h"
#include "proxy/wire/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = pw_slice((const char *)data, size);
    struct md5_text hash, answer;
    struct secret s;
    uint8_t bytes[300];
    size_t len;
    struct buf out;
    pw_buf_init(&out, 1 << 20);
    if (pw_secret_init(&s, in)) {
        if (pw_secret_md5(&s, PW_SLICE_LIT("ann"), &hash))
            PW_CHECK(
                pw_md5_respond(pw_slice(hash.text, MD5_TEXT), (const uint8_t *)"salt", &answer));
        if (s.kind == SECRET_SCRAM) {
            struct scram_verifier again;
            PW_CHECK(pw_scram_verifier_print(&s.verifier, &out));
            PW_CHECK(pw_scram_verifier_parse(pw_buf_slice(&out), &again));
            PW_CHECK(again.iterations == s.verifier.iterations);
        }
    }
    pw_secret_wipe(&s);
    pw_buf_reset(&out);
    if (pw_base64_decode(in, bytes, sizeof bytes, &len)) {
        PW_CHECK(pw_base64_encode(&out, bytes, len));
        PW_CHECK(pw_slice_eq(pw_buf_slice(&out), in));
    }
    pw_buf_free(&out);
    return 0;
}
