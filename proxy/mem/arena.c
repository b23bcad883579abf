/*
 * Bump memory for one request. Owned and used by one thread. Blocks double in size up to a bound;
 * a request larger than that gets a block of its own. After a reset the arena keeps one block of
 * moderate size, so that an idle ticket does not hold what its largest request needed.
 */
#include "proxy/mem/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/mem/poison.h"

enum {
    ARENA_ALIGN = 16,
    BLOCK_MIN = 2048,      /* bytes asked from malloc for the first block */
    BLOCK_MAX = 64 * 1024, /* where doubling ends */
    BLOCK_KEEP_MAX = 16 * 1024,
};

struct arena_block {
    alignas(ARENA_ALIGN) struct arena_block *next; /* OWN, older */
    size_t size, used;                             /* of data[] */
    alignas(ARENA_ALIGN) char data[];
};

void pw_arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

static struct arena_block *add_block(struct arena *a, size_t wanted)
{
    size_t size = BLOCK_MIN - sizeof(struct arena_block);
    if (a->blocks) {
        size = (a->blocks->size + sizeof(struct arena_block)) * 2;
        size = (size < BLOCK_MAX ? size : BLOCK_MAX) - sizeof(struct arena_block);
    }
    if (size < wanted)
        size = wanted;
    struct arena_block *b = pw_try_alloc(sizeof *b + size);
    if (!b)
        return NULL;
    *b = (struct arena_block){.next = a->blocks, .size = size};
    PW_POISON(b->data, size);
    a->blocks = b;
    return b;
}

void *pw_arena_try_alloc(struct arena *a, size_t size)
{
    size_t room = a->max - a->used;
    if (size > room)
        return NULL;
    size_t rounded = size ? (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1) : ARENA_ALIGN;
    if (rounded > room || rounded < size)
        return NULL;
    struct arena_block *b = a->blocks;
    if (!b || b->size - b->used < rounded)
        b = add_block(a, rounded);
    if (!b)
        return NULL;
    void *out = b->data + b->used;
    b->used += rounded;
    a->used += rounded;
    PW_UNPOISON(out, size);
    return out;
}

char *pw_arena_try_strndup(struct arena *a, const char *text, size_t len)
{
    if (len == SIZE_MAX)
        return NULL;
    char *copy = pw_arena_try_alloc(a, len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static void free_block(struct arena_block *b)
{
    PW_UNPOISON(b->data, b->size);
    pw_free(b);
}

void pw_arena_reset(struct arena *a)
{
    struct arena_block *kept = NULL;
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        bool keep = b->size <= BLOCK_KEEP_MAX && (!kept || b->size > kept->size);
        struct arena_block *drop = keep ? kept : b;
        if (keep)
            kept = b;
        if (drop)
            free_block(drop);
    }
    if (kept) {
        kept->next = NULL;
        kept->used = 0;
        PW_POISON(kept->data, kept->size);
    }
    a->blocks = kept;
    a->used = 0;
}

void pw_arena_free(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free_block(b);
    }
    a->blocks = NULL;
    a->used = 0;
}
