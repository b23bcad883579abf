/* room: wire */
/*
 * Both SCRAM machines against a peer that says anything. The first byte picks the side; messages
 * are separated by newlines; '@' in a message stands for the nonce that the peer cannot know
 * beforehand.
 */
#include <stdint.h>

#include "proxy/base/check.h"
#include "proxy/wire/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool next_line(struct slice *in, const char *nonce, struct buf *line)
{
    if (in->len == 0)
        return false;
    pw_buf_reset(line);
    while (in->len && in->ptr[0] != '\n') {
        if (in->ptr[0] == '@')
            pw_buf_append_str(line, nonce);
        else
            pw_buf_append(line, in->ptr, 1);
        *in = pw_slice(in->ptr + 1, in->len - 1);
    }
    if (in->len)
        *in = pw_slice(in->ptr + 1, in->len - 1);
    return true;
}

static void as_server(struct slice in, bool bound, struct buf *line, struct buf *out)
{
    const struct scram_verifier v = {.iterations = 4096, .salt_len = 16, .salt = "0123456789abcde"};
    struct scram_server s;
    PW_CHECK(pw_scram_server_init(&s, &v, false));
    pw_scram_server_bind(&s, &(struct scram_binding){{7}, bound ? 32 : 0}, bound);
    strcpy(s.nonce, "fixed");
    while (next_line(&in, s.nonce, line)) {
        pw_buf_reset(out);
        /* StoredKey is all zero: no ClientKey hashes to that. */
        PW_CHECK(pw_scram_server_feed(&s, pw_buf_slice(line), out) != SCRAM_OK);
    }
    pw_scram_server_wipe(&s);
}

static void as_client(struct slice in, bool with_keys, struct buf *line, struct buf *out)
{
    const struct scram_keys keys = {{1}, {2}};
    struct scram_client c;
    PW_CHECK(with_keys ? pw_scram_client_init_keys(&c, &keys)
                       : pw_scram_client_init(&c, PW_SLICE_LIT("pencil")));
    strcpy(c.nonce, "fixed");
    PW_CHECK(pw_scram_client_first(&c, out) == SCRAM_CLIENT_MORE);
    while (next_line(&in, c.nonce, line)) {
        pw_buf_reset(out);
        enum scram_client_result r = pw_scram_client_feed(&c, pw_buf_slice(line), out);
        if (r == SCRAM_CLIENT_NEED_DERIVE) {
            PW_CHECK(c.job.salt.len > 0 && c.job.salt.len <= SCRAM_SALT_MAX);
            PW_CHECK(c.job.iterations > 0 && c.job.iterations <= SCRAM_ITERATIONS_MAX);
            pw_scram_client_resume(&c, &keys, out);
        }
    }
    pw_scram_client_wipe(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct buf line, out;
    pw_buf_init(&line, 1 << 20);
    pw_buf_init(&out, 1 << 20);
    struct slice in = pw_slice((const char *)data + 1, size - 1);
    if (data[0] == 's' || data[0] == 'p')
        as_server(in, data[0] == 'p', &line, &out);
    else
        as_client(in, data[0] == 'k', &line, &out);
    pw_buf_free(&line);
    pw_buf_free(&out);
    return 0;
}
