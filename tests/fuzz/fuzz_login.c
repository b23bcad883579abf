/* room: wire */
/*
 * The two login machines fed with any stream of messages. The first byte picks the machine, its
 * method or credentials and its secret; the rest is what the peer sends. Derivations are answered
 * with fixed keys, because PBKDF2 has no input of the peer's left to go wrong with.
 */
#include <stdint.h>

#include "proxy/base/check.h"
#include "proxy/wire/client_auth.h"
#include "proxy/wire/errfields.h"
#include "proxy/wire/frame.h"
#include "proxy/wire/server_login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct scram_keys keys = {{1}, {2}};
static const char md5[] = "md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char verifier[] =
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

static bool take(struct slice *in, uint8_t *type, struct slice *body)
{
    struct frame f = {0};
    if (pw_frame_peek(*in, &f) != FRAME_OK || !pw_frame_complete(*in, &f))
        return false;
    *type = f.type;
    *body = pw_frame_body(*in, &f);
    *in = pw_slice(in->ptr + f.len, in->len - f.len);
    return true;
}

static void whole_messages(const struct buf *out)
{
    struct slice in = pw_buf_slice(out), body;
    uint8_t type;
    while (take(&in, &type, &body))
        ;
    PW_CHECK(in.len == 0);
}

static void client(uint8_t pick, struct slice in, struct buf *out)
{
    const char *const secrets[] = {"", "pencil", md5, verifier};
    const uint8_t seed[SCRAM_KEY] = {3};
    struct client_auth a;
    uint8_t type;
    struct slice body;
    PW_CHECK(pw_client_auth_init(&a, (enum auth_method)(pick & 3), PW_SLICE_LIT("ann"),
                                 pw_slice_str(secrets[pick >> 2 & 3]), seed));
    if (pick & 16)
        pw_client_auth_bind(&a, &(struct scram_binding){{7}, 32});
    enum auth_result r = pw_client_auth_start(&a, out);
    for (int n = 0; n < 20; n++) {
        while (r == AUTH_NEED_DERIVE)
            r = pw_client_auth_resume(&a, &keys, out);
        PW_CHECK(r != AUTH_FAIL || a.reason);
        if (!take(&in, &type, &body))
            break;
        r = pw_client_auth_feed(&a, type, body, out);
    }
    whole_messages(out);
    pw_client_auth_wipe(&a);
}

static void server(uint8_t pick, struct slice in, struct buf *out)
{
    const struct name_value params[] = {{PW_SLICE_LIT("user"), PW_SLICE_LIT("ann")}};
    const struct login_credentials all[] = {{LOGIN_NOTHING, {0}, NULL},
                                            {LOGIN_PASSWORD, PW_SLICE_LIT("pencil"), NULL},
                                            {LOGIN_MD5, PW_SLICE_LIT(md5), NULL},
                                            {LOGIN_KEYS, {0}, &keys},
                                            {LOGIN_CLIENT, {0}, NULL}};
    struct server_login l;
    uint8_t type;
    struct slice body;
    PW_CHECK(pw_server_login_init(&l, params, 1, &all[pick % PW_COUNT_OF(all)]));
    enum login_result r = pw_server_login_start(&l, out);
    pw_buf_reset(out);
    while (take(&in, &type, &body)) {
        r = pw_server_login_feed(&l, type, body, out);
        if (r == LOGIN_NEED_DERIVE)
            r = pw_server_login_resume(&l, &keys, out);
        if (r == LOGIN_RELAY) {
            whole_messages(&l.relay);
            if (l.state == SERVER_LOGIN_RELAYING)
                r = pw_server_login_relay(&l, body, out);
        }
        PW_CHECK(r != LOGIN_FAIL || l.reason[0]);
    }
    whole_messages(out);
    pw_server_login_free(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct buf out;
    pw_buf_init(&out, 1 << 24);
    struct slice in = pw_slice((const char *)data + 1, size - 1);
    if (data[0] & 0x80)
        server(data[0] & 0x7f, in, &out);
    else
        client(data[0], in, &out);
    pw_buf_free(&out);
    return 0;
}
