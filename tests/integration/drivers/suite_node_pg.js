// node-pg with its defaults.
const { Client, Pool, Query } = require('pg');
const assert = require('assert');

async function connect() {
  const c = new Client();
  await c.connect();
  return c;
}

async function statements(c) {
  await c.query('drop table if exists dn; create table dn (id int primary key, v text, b bytea, j jsonb, t timestamptz default now())');
  for (let i = 0; i < 30; i++) {
    const r = await c.query('insert into dn (id, v, b, j) values ($1, $2, $3, $4)', [i, 'v' + i, Buffer.from([0, i]), { i }]);
    assert.strictEqual(r.rowCount, 1);
  }
  for (let i = 0; i < 30; i++) {
    const r = await c.query({ name: 'by-id', text: 'select v, b, j, t from dn where id = $1', values: [i] });
    assert.strictEqual(r.rows[0].v, 'v' + i);
    assert.strictEqual(r.rows[0].b[1], i);
    assert.deepStrictEqual(r.rows[0].j, { i });
    assert(r.rows[0].t instanceof Date);
  }
  const array = await c.query({ text: 'select id, v from dn where id < $1 order by id', values: [2], rowMode: 'array' });
  assert.deepStrictEqual(array.rows, [[0, 'v0'], [1, 'v1']]);
  const binary = await c.query({ text: 'select 7::int4 as seven', binary: true });
  assert.strictEqual(binary.rows[0].seven, 7);
  const several = await c.query('select 1 as a; select 2 as b, 3 as c');
  assert.strictEqual(several[1].rows[0].c, 3);
  // A portal fetched in parts.
  const parts = await c.query({ text: 'select generate_series(1, $1::int) as n', values: [25], rows: 10 });
  assert.strictEqual(parts.rows.length, 25);
}

async function errors(c) {
  await assert.rejects(c.query("insert into dn (id) values (1)"), { code: '23505', constraint: 'dn_pkey' });
  await assert.rejects(c.query('selec'), { code: '42601', position: '1' });
  await assert.rejects(c.query('select $1::int', ['x']), { code: '22P02' });
  await assert.rejects(c.query({ name: 'broken', text: 'select nope from dn' }), { code: '42703' });
  await assert.rejects(c.query({ name: 'broken', text: 'select nope from dn' }), { code: '42703' });
  // Sent without waiting for each other; those behind an error are answered.
  const all = await Promise.allSettled([c.query('select 1 as n'), c.query('select 1/0'), c.query('select $1::int as n', [3])]);
  assert.deepStrictEqual(all.map((r) => r.status), ['fulfilled', 'rejected', 'fulfilled']);
  assert.strictEqual(all[2].value.rows[0].n, 3);
}

async function transactions(c) {
  await c.query('begin');
  await c.query('delete from dn');
  await assert.rejects(c.query('select nope'), { code: '42703' });
  await assert.rejects(c.query('select 1'), { code: '25P02' });
  await c.query('rollback');
  assert.strictEqual((await c.query('select count(*)::int as n from dn')).rows[0].n, 30);
  await c.query('begin isolation level serializable read only');
  assert.strictEqual((await c.query('show transaction_isolation')).rows[0].transaction_isolation, 'serializable');
  await assert.rejects(c.query("update dn set v = 'no'"), { code: '25006' });
  await c.query('rollback');
  // Settings stay with the session, also when its connections change.
  await c.query("set timezone to 'Asia/Tokyo'");
  assert.strictEqual((await c.query('show timezone')).rows[0].TimeZone, 'Asia/Tokyo');
  await c.query('reset timezone');
}

// As node-pg does it: by a client made for that, when the query is known to run.
async function cancelling(c) {
  const watcher = await connect();
  const slow = new Query('select pg_sleep(60)');
  const ended = new Promise((resolve) => slow.on('error', resolve));
  c.query(slow);
  const running = "select count(*)::int as n from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'";
  while ((await watcher.query(running)).rows[0].n === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  new Client().cancel(c, slow);
  assert.strictEqual((await ended).code, '57014');
  assert.strictEqual((await c.query('select 5 as five')).rows[0].five, 5);
  await watcher.end();
}

// By the server's functions (node-pg has no large objects and no COPY of its own).
async function largeObjects(c) {
  await c.query('begin');
  const oid = (await c.query('select lo_from_bytea(0, $1) as oid', [Buffer.from('large object')])).rows[0].oid;
  assert.strictEqual((await c.query('select lo_get($1) as lo', [oid])).rows[0].lo.toString(), 'large object');
  await c.query('select lo_unlink($1)', [oid]);
  await c.query('commit');
  const big = Buffer.alloc(3000000, 7);
  assert((await c.query('select $1::bytea as b', [big])).rows[0].b.equals(big));
}

async function notifications(c) {
  const heard = new Promise((resolve) => c.on('notification', (m) => resolve(m.payload)));
  await c.query('listen dn_channel');
  const other = await connect();
  await other.query("notify dn_channel, 'payload'");
  assert.strictEqual(await heard, 'payload');
  const noticed = new Promise((resolve) => other.on('notice', (m) => resolve(m.message)));
  await other.query("do $$ begin raise notice 'noticed'; end $$");
  assert.strictEqual(await noticed, 'noticed');
  await other.end();
}

async function pools() {
  const pool = new Pool({ max: 20 });
  await Promise.all([...Array(200).keys()].map(async (n) => {
    const r = await pool.query({ name: 'pooled', text: 'select $1::int + id as s from dn where id = $2', values: [n, n % 30] });
    assert.strictEqual(r.rows[0].s, n + (n % 30));
  }));
  await pool.end();
}

async function main() {
  const c = await connect();
  await statements(c);
  await errors(c);
  await transactions(c);
  await cancelling(c);
  await largeObjects(c);
  await notifications(c);
  await c.end();
  await pools();
}

main().catch((e) => { console.error(e); process.exit(1); });
