/*
 * Recording a reply while it streams to its client. A fill is owned by one thread; all its memory
 * comes from the cache's pool, and all fills together hold a bounded share of it. Rows arrive in
 * pieces of network size and are gathered in chunks, each at least as large as all before it; the
 * commit makes one buffer of them.
 */
#include <string.h>

#include "cache/cache.h"
#include "cache/cache_priv.h"

enum {
    CHUNKS_MAX = 32, /* doubling reaches every 32-bit length */
    CHUNK_MIN = 512, /* after the first, which is as large as the first piece */
};

struct cache_fill {
    struct cache *cache;       /* BORROW, outlives the fill */
    struct cache_entry *entry; /* OWN: the only reference; not published */
    size_t bytes, max_bytes;   /* of key and reply so far, and their limit */
    size_t row_bytes, charged; /* charged: to cache->filling_bytes */
    uint32_t n_chunks;
    bool failed;
    struct rcbuf *chunks[CHUNKS_MAX]; /* OWN */
};

static bool try_charge(struct cache *c, size_t bytes)
{
    size_t limit =
        atomic_load_explicit(&c->memory_bytes, memory_order_relaxed) / PW_CACHE_FILL_SHARE;
    size_t before = atomic_fetch_add_explicit(&c->filling_bytes, bytes, memory_order_relaxed);
    if (before + bytes <= limit)
        return true;
    atomic_fetch_sub_explicit(&c->filling_bytes, bytes, memory_order_relaxed);
    return false;
}

struct cache_fill *pw_cache_fill_new(struct cache *c, const struct cache_stamp *stamp,
                                     struct slice key, uint64_t hash, uint64_t now_us)
{
    size_t max = atomic_load_explicit(&c->max_entry_bytes, memory_order_relaxed);
    size_t fixed = sizeof(struct cache_fill) + key.len;
    if (key.len > max || !try_charge(c, fixed))
        return NULL;
    struct cache_fill *f = pw_pool_try_alloc(c->pool, sizeof *f);
    struct cache_entry *e = f ? pw_entry_try_new(c->pool, stamp, key, hash, now_us) : NULL;
    if (!e) {
        atomic_fetch_sub_explicit(&c->filling_bytes, fixed, memory_order_relaxed);
        if (f)
            pw_pool_release(c->pool, f, sizeof *f);
        return NULL;
    }
    *f = (struct cache_fill){
        .cache = c,
        .entry = e,
        .bytes = key.len,
        .max_bytes = max,
        .charged = fixed,
    };
    return f;
}

/* Room for `bytes` more of reply? The fill is of no use once this was refused. Anything after the
 * tag is more than one result: it is for the server to send, and for us to refuse. */
static bool admit(struct cache_fill *f, size_t bytes)
{
    if (f->failed || f->entry->reply.tag || bytes > f->max_bytes - f->bytes)
        f->failed = true;
    else
        f->bytes += bytes;
    return !f->failed;
}

static struct rcbuf *try_buffer(struct cache_fill *f, size_t cap)
{
    struct rcbuf *b = NULL;
    if (try_charge(f->cache, cap)) {
        f->charged += cap;
        b = pw_rcbuf_try_new_in(f->cache->pool, (uint32_t)cap);
    }
    f->failed = f->failed || !b;
    return b;
}

static void append(struct rcbuf *b, const char *bytes, size_t len)
{
    memcpy(b->data + b->len, bytes, len);
    b->len += (uint32_t)len;
}

/* Copies the message into a buffer of its size, behind what came of it before. */
static bool keep_part(struct cache_fill *f, struct rcbuf **part, struct slice piece)
{
    struct rcbuf *old = *part;
    if (!admit(f, piece.len))
        return false;
    struct rcbuf *b = try_buffer(f, (old ? old->len : 0) + piece.len);
    if (!b)
        return false;
    if (old)
        append(b, old->data, old->len);
    if (piece.len)
        append(b, piece.ptr, piece.len);
    pw_rcbuf_unref(old);
    *part = b;
    return true;
}

bool pw_cache_fill_description(struct cache_fill *f, struct slice message)
{
    if (f->n_chunks > 0) /* rows have begun: this is another result's */
        f->failed = true;
    return keep_part(f, &f->entry->reply.description, message);
}

bool pw_cache_fill_tag(struct cache_fill *f, struct slice message)
{
    return keep_part(f, &f->entry->reply.tag, message);
}

static size_t next_chunk_bytes(const struct cache_fill *f, size_t len)
{
    if (f->n_chunks == 0)
        return len; /* most replies come in one piece */
    size_t cap = f->row_bytes > CHUNK_MIN ? f->row_bytes : CHUNK_MIN;
    size_t room = f->max_bytes - f->bytes + len; /* f->bytes has this piece already */
    if (cap > room)
        cap = room;
    return cap > len ? cap : len;
}

bool pw_cache_fill_rows(struct cache_fill *f, struct slice messages)
{
    if (!admit(f, messages.len))
        return false;
    if (messages.len == 0)
        return true;
    struct rcbuf *last = f->n_chunks ? f->chunks[f->n_chunks - 1] : NULL;
    if (last) {
        size_t room = last->cap - last->len;
        size_t part = messages.len < room ? messages.len : room;
        append(last, messages.ptr, part);
        f->row_bytes += part;
        messages = pw_slice(messages.ptr + part, messages.len - part);
    }
    if (messages.len == 0)
        return true;
    if (f->n_chunks == CHUNKS_MAX) {
        f->failed = true;
        return false;
    }
    struct rcbuf *b = try_buffer(f, next_chunk_bytes(f, messages.len));
    if (!b)
        return false;
    f->chunks[f->n_chunks++] = b;
    append(b, messages.ptr, messages.len);
    f->row_bytes += messages.len;
    return true;
}

static void drop_chunks(struct cache_fill *f)
{
    for (uint32_t i = 0; i < f->n_chunks; i++)
        pw_rcbuf_unref(f->chunks[i]);
    f->n_chunks = 0;
}

/* All rows in one buffer of their size; false: no memory. */
static bool join_rows(struct cache_fill *f)
{
    if (f->n_chunks == 0)
        return true;
    if (f->n_chunks == 1 && f->chunks[0]->len == f->chunks[0]->cap) {
        f->entry->reply.rows = f->chunks[0];
        f->n_chunks = 0;
        return true;
    }
    struct rcbuf *rows = pw_rcbuf_try_new_in(f->cache->pool, (uint32_t)f->row_bytes);
    if (!rows)
        return false;
    for (uint32_t i = 0; i < f->n_chunks; i++)
        append(rows, f->chunks[i]->data, f->chunks[i]->len);
    drop_chunks(f);
    f->entry->reply.rows = rows;
    return true;
}

/* Frees the fill; the reference to its entry passes to the caller. */
static struct cache_entry *dissolve(struct cache_fill *f)
{
    struct cache_entry *e = f->entry;
    struct cache *c = f->cache;
    drop_chunks(f);
    atomic_fetch_sub_explicit(&c->filling_bytes, f->charged, memory_order_relaxed);
    pw_pool_release(c->pool, f, sizeof *f);
    return e;
}

void pw_cache_fill_abandon(struct cache_fill *f)
{
    if (f)
        pw_cache_entry_unref(dissolve(f));
}

/* A lookup compares the versions again, so a write that slips in after this is not missed. */
static bool may_publish(struct cache *c, const struct cache_entry *e, uint64_t now_us)
{
    if (e->cost_us < atomic_load_explicit(&c->min_cost_us, memory_order_relaxed) ||
        e->expires_us <= now_us)
        return false;
    if (pw_versions_current(c->versions, &e->base, e->deps, e->n_deps))
        return true;
    atomic_fetch_add_explicit(&c->stale_fills_refused, 1, memory_order_relaxed);
    return false;
}

bool pw_cache_fill_commit_entry(struct cache_fill *f, uint64_t n_rows, uint64_t cost_us,
                                uint64_t ttl_us, uint64_t family, uint64_t now_us,
                                struct cache_entry **out)
{
    struct cache *c = f->cache;
    bool complete = !f->failed && f->entry->reply.tag && join_rows(f);
    struct cache_entry *e = dissolve(f);
    *out = NULL;
    if (!complete) {
        pw_cache_entry_unref(e);
        return false;
    }
    e->reply.n_rows = n_rows;
    e->cost_us = cost_us;
    e->family = family;
    if (ttl_us && ttl_us < UINT64_MAX - e->created_us)
        e->expires_us = e->created_us + ttl_us;
    bool publish = may_publish(c, e, now_us);
    if (publish)
        pw_shard_insert(pw_cache_shard(c, e->node.hash), pw_cache_entry_ref(e));
    *out = e;
    return publish;
}

bool pw_cache_fill_commit(struct cache_fill *f, uint64_t n_rows, uint64_t cost_us, uint64_t ttl_us,
                          uint64_t family, uint64_t now_us)
{
    struct cache_entry *e;
    bool published = pw_cache_fill_commit_entry(f, n_rows, cost_us, ttl_us, family, now_us, &e);
    pw_cache_entry_unref(e);
    return published;
}
