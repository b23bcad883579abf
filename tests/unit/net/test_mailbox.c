/* Four threads send to one loop: nothing lost, nothing twice, each sender's messages in order. */
#include "tests/unit/net/world.h"

#include <stdatomic.h>

#include "proxy/net/mailbox.h"

enum { SENDERS = 4, MESSAGES = 50000 };

static size_t received, next_of[SENDERS];
static atomic_size_t dropped;
static bool all_here;

struct letter {
    struct mail m;
    size_t sender, number;
    struct mailbox *close; /* closed when this is run */
};

static void on_run(struct mail *m)
{
    struct letter *l = PW_CONTAINER_OF(m, struct letter, m);
    assert_int_equal(l->number, next_of[l->sender]);
    next_of[l->sender]++;
    all_here = ++received == (size_t)SENDERS * MESSAGES;
    if (l->close)
        pw_mailbox_close(l->close);
    pw_free(l);
}

static void on_drop(struct mail *m)
{
    atomic_fetch_add(&dropped, 1);
    pw_free(PW_CONTAINER_OF(m, struct letter, m));
}

static bool send_letter(struct mailbox *b, size_t sender, size_t number, struct mailbox *close)
{
    struct letter *l = pw_alloc(sizeof *l);
    *l = (struct letter){{NULL, on_run, on_drop}, sender, number, close};
    return pw_mailbox_send(b, &l->m);
}

struct sender {
    uv_thread_t thread;
    struct mailbox *box;
    size_t index, refused;
};

static void send_all(void *arg)
{
    struct sender *s = arg;
    for (size_t i = 0; i < MESSAGES; i++)
        s->refused += !send_letter(s->box, s->index, i, NULL);
}

static void start_senders(struct sender *senders, struct mailbox *b)
{
    received = 0;
    all_here = false;
    atomic_store(&dropped, 0);
    memset(next_of, 0, sizeof next_of);
    for (size_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.box = b, .index = i};
        assert_int_equal(uv_thread_create(&senders[i].thread, send_all, &senders[i]), 0);
    }
}

static size_t join_senders(struct sender *senders)
{
    size_t refused = 0;
    for (size_t i = 0; i < SENDERS; i++) {
        uv_thread_join(&senders[i].thread);
        refused += senders[i].refused;
    }
    return refused;
}

static void test_four_senders(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    struct mailbox b;
    struct sender senders[SENDERS];
    world_init(w);
    pw_mailbox_init(&b, &w->uv);
    start_senders(senders, &b);
    run_until(w, &all_here);
    assert_int_equal(join_senders(senders), 0);
    pw_mailbox_close(&b);
    pw_mailbox_close(&b); /* idempotent */
    world_free(w);
    pw_mailbox_destroy(&b);
    assert_int_equal(dropped, 0);
    pw_free(w);
}

/* Closed in the middle: each message is either run or dropped, and refusals are told. */
static void test_close_while_sending(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    struct mailbox b;
    struct sender senders[SENDERS];
    world_init(w);
    pw_mailbox_init(&b, &w->uv);
    start_senders(senders, &b);
    run_until_count(w, &received, 1000);
    pw_mailbox_close(&b);
    size_t refused = join_senders(senders);
    assert_true(refused <= dropped);
    assert_int_equal(received + dropped, (size_t)SENDERS * MESSAGES);
    world_free(w);
    pw_mailbox_destroy(&b);
    pw_free(w);
}

static void test_close_from_a_message(void **state)
{
    (void)state;
    struct world *w = pw_alloc(sizeof *w);
    struct mailbox b;
    world_init(w);
    pw_mailbox_init(&b, &w->uv);
    received = 0;
    memset(next_of, 0, sizeof next_of);
    atomic_store(&dropped, 0);
    assert_true(send_letter(&b, 0, 0, NULL));
    assert_true(send_letter(&b, 0, 1, &b));
    assert_true(send_letter(&b, 0, 2, NULL)); /* behind the one that closes */
    run_until_count(w, &received, 2);
    assert_int_equal(received, 2);
    assert_int_equal(dropped, 1);
    assert_false(send_letter(&b, 0, 3, NULL));
    assert_int_equal(dropped, 2);
    world_free(w);
    pw_mailbox_destroy(&b);
    pw_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_senders),
        cmocka_unit_test(test_close_while_sending),
        cmocka_unit_test(test_close_from_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
