'use strict';
/* The dashboard: polls /api/v1/*, draws what it gets, says so when it gets nothing. Values from the
 * server only ever become text nodes. */

const CHART_EVERY_MS = 2000, TABLE_EVERY_MS = 5000, SAMPLES = 300, ROWS_MAX = 50;
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const byId = id => document.getElementById(id);

/* ---- numbers for people ---- */
const si = v => {
  if (v === null || v === undefined || !isFinite(v)) return '–';
  const units = ['', 'k', 'M', 'G', 'T'];
  let u = 0;
  while (Math.abs(v) >= 1000 && u < units.length - 1) { v /= 1000; u++; }
  return (Math.abs(v) >= 100 || (u === 0 && Number.isInteger(v)) ? Math.round(v) : v.toPrecision(3))
         + units[u];
};
const bytes = v => {
  if (v === null || v === undefined || !isFinite(v)) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let u = 0;
  while (Math.abs(v) >= 1024 && u < units.length - 1) { v /= 1024; u++; }
  return (u ? v.toPrecision(3) : v) + ' ' + units[u];
};
const ms = v => v === null || v === undefined || !isFinite(v) ? '–'
  : v < 1 ? Math.round(v * 1000) + ' µs' : v < 1000 ? v.toPrecision(3) + ' ms'
  : (v / 1000).toPrecision(3) + ' s';
const percent = v => v === null || v === undefined || !isFinite(v) ? '–' : (100 * v).toFixed(1) + ' %';

async function get(path) {
  const reply = await fetch('api/v1/' + path, { cache: 'no-store' });
  if (!reply.ok) throw Object.assign(new Error(path + ': ' + reply.status), { status: reply.status });
  return reply.json();
}
const orNull = promise => promise.catch(e => { if (e.status) return null; throw e; });

/* ---- tiles ---- */
let lastMetrics = null, lastMetricsAt = 0;
const one = (m, name) => m && m[name] && m[name].length ? m[name][0].value : null;
function rate(m, name, seconds) {
  const now = one(m, name), before = one(lastMetrics, name);
  return now === null || before === null || seconds <= 0 ? null : Math.max(0, now - before) / seconds;
}
function tile(label, value, title) {
  const box = document.createElement('div'), big = document.createElement('b');
  const small = document.createElement('span');
  box.className = 'card tile';
  if (title) box.title = title;
  big.textContent = value;
  small.textContent = label;
  box.append(big, small);
  return box;
}
function drawTiles(m, h) {
  const now = Date.now(), seconds = lastMetrics ? (now - lastMetricsAt) / 1000 : 0;
  const hits = rate(m, 'pgweir_cache_hits_total', seconds);
  const misses = rate(m, 'pgweir_cache_misses_total', seconds);
  const coalesced = rate(m, 'pgweir_batch_requests_total', seconds);
  const executions = rate(m, 'pgweir_batch_executions_total', seconds);
  const last = name => h && h[name] && h[name].length ? h[name][h[name].length - 1] : null;
  byId('tiles').replaceChildren(
    tile('requests / s', si(last('rps') ?? rate(m, 'pgweir_requests_total', seconds))),
    tile('p50 latency', ms(last('p50_ms'))),
    tile('p99 latency', ms(last('p99_ms'))),
    tile('cache hit rate', hits + misses > 0 ? percent(hits / (hits + misses)) : '–',
         'hits / (hits + misses) of cacheable requests'),
    tile('requests per execution', executions > 0 ? Math.max(1, coalesced / executions).toFixed(2) : '–',
         'of the requests that may be coalesced'), // an execution is counted when it starts, a request when it ends
    tile('clients', si(one(m, 'pgweir_client_connections_open'))),
    tile('server connections', si(one(m, 'pgweir_server_connections_open'))),
    tile('errors / s', si(rate(m, 'pgweir_request_errors_total', seconds))));
  const build = m && m.pgweir_build_info;
  byId('version').textContent = build && build.length ? build[0].labels.version : '';
  rates.push({ t: now, hit: hits + misses > 0 ? hits / (hits + misses) : null,
    joined: rate(m, 'pgweir_batch_joined_total', seconds),
    pipelined: rate(m, 'pgweir_batch_pipelined_total', seconds),
    merged: rate(m, 'pgweir_batch_merged_total', seconds) });
  if (rates.length > SAMPLES) rates.shift();
  lastMetrics = m;
  lastMetricsAt = now;
}

/* ---- charts ---- */
const rates = [];
const column = (name, label, scale = 1) => ({ label, of: h => h[name].map(v => v === null ? null : v * scale) });
const own = (name, label) => ({ label, of: () => rates.map(r => r[name]) });
const plots = [
  { title: 'Throughput (requests / s)', format: si, series: [column('rps', 'requests'), column('hits', 'from cache')] },
  { title: 'Latency', format: ms, series: [column('p50_ms', 'p50'), column('p95_ms', 'p95'), column('p99_ms', 'p99')] },
  { title: 'Cache hit rate', format: percent, own: true, max: 1, series: [own('hit', 'hit rate')] },
  { title: 'Coalesced (requests / s)', format: si, own: true,
    series: [own('joined', 'joined'), own('pipelined', 'pipelined'), own('merged', 'merged')] },
  { title: 'Processor', format: percent, series: [column('cpu', 'pgweir (1 = one core)'), column('host_cpu', 'host'), column('iowait', 'iowait')] },
  { title: 'Memory', format: bytes, series: [column('rss', 'pgweir'), column('host_memory', 'host')] },
  { title: 'Network and storage (bytes / s)', format: bytes,
    series: [column('net_rx', 'received'), column('net_tx', 'sent'), column('io_read', 'read'), column('io_write', 'written')] },
  { title: 'GPU', format: percent, optional: h => h.gpu.some(v => v !== null), series: [column('gpu', 'busiest')] },
];
const colors = ['#2563eb', '#e4572e', '#17a398', '#a855f7'];

function makeChart(plot) {
  const card = document.createElement('div'), title = document.createElement('h3');
  const box = document.createElement('div'), canvas = document.createElement('canvas');
  card.className = 'card';
  box.className = 'plot';
  title.textContent = plot.title;
  box.append(canvas);
  card.append(title, box);
  byId('charts').append(card);
  plot.card = card;
  plot.chart = new Chart(canvas, {
    type: 'line',
    data: { labels: [], datasets: plot.series.map((s, i) => ({ label: s.label, data: [],
      borderColor: colors[i], backgroundColor: colors[i], borderWidth: 1.5, pointRadius: 0, spanGaps: false })) },
    options: { animation: false, maintainAspectRatio: false, interaction: { mode: 'index', intersect: false },
      plugins: { legend: { labels: { boxWidth: 10, boxHeight: 2, color: css('--dim') } },
        tooltip: { callbacks: { label: c => c.dataset.label + ': ' + plot.format(c.parsed.y) } } },
      scales: { x: { ticks: { color: css('--dim'), maxTicksLimit: 5, autoSkipPadding: 16, maxRotation: 0 }, grid: { display: false } },
        y: { beginAtZero: true, suggestedMax: plot.max, ticks: { color: css('--dim'), maxTicksLimit: 5, callback: v => plot.format(v) },
          grid: { color: css('--line') } } } } });
}
const clock = t => new Date(t).toLocaleTimeString([], { hour12: false });
function drawCharts(h) {
  for (const plot of plots) {
    if (!plot.own && !h) continue;
    if (plot.optional && !plot.optional(h)) { if (plot.card) plot.card.hidden = true; continue; }
    if (!plot.chart) makeChart(plot);
    plot.card.hidden = false;
    plot.chart.data.labels = (plot.own ? rates.map(r => r.t) : h.t).map(clock);
    plot.series.forEach((s, i) => { plot.chart.data.datasets[i].data = s.of(h); });
    plot.chart.update('none');
  }
}

/* ---- tables ---- */
const formats = { benefit_pct: v => v === null ? '–' : (+v).toFixed(1) + ' %', size: bytes,
  mean_ms: ms, p50_ms: ms, p95_ms: ms, p99_ms: ms, calls: si, rows: si, cache_hits: si, merged: si, joined: si, pipelined: si, uses: si, idx_scan: si, idx_tup_read: si,
  memory_used: bytes, memory_total: bytes, utilization: percent, memory: bytes };
const units = { bytes, 'bytes/s': v => bytes(v) + '/s', ratio: percent, seconds: v => si(v) + ' s', cores: v => v + ' cores' };
const wide = new Set(['text', 'sql', 'reason']), names = new Set(['tables', 'indexes', 'index', 'object']);
function cell(name, value, row) {
  const td = document.createElement('td');
  if (Array.isArray(value)) value = value.join(', ');
  const number = typeof value === 'number', format = formats[name] || (name === 'value' && units[row.unit]);
  const text = value === null || value === undefined ? '' : number && format ? format(value) : String(value);
  if (number) td.className = 'n';
  if (names.has(name)) td.className = 'names';
  if (wide.has(name)) { // three lines of it; all of it under the pointer
    const box = document.createElement('div');
    td.className = 'wide';
    box.textContent = td.title = text;
    td.append(box);
  } else {
    td.textContent = text;
  }
  return td;
}
function drawTable(id, rows, columns, empty) {
  const box = byId(id);
  if (!rows || !rows.length) {
    const note = document.createElement('div');
    note.className = 'empty';
    note.textContent = rows ? empty : 'not available from this server';
    box.replaceChildren(note);
    return;
  }
  const columnNames = columns ? columns.filter(c => c in rows[0]) : Object.keys(rows[0]);
  const table = document.createElement('table'), head = table.createTHead().insertRow();
  for (const name of columnNames) {
    const th = document.createElement('th');
    th.textContent = name.replace(/_(ms|pct|bytes)$/, '').replaceAll('_', ' ');
    if (typeof rows[0][name] === 'number') th.className = 'n';
    head.append(th);
  }
  const body = table.createTBody();
  for (const row of rows.slice(0, ROWS_MAX)) {
    const tr = body.insertRow();
    for (const name of columnNames) tr.append(cell(name, row[name], row));
  }
  box.replaceChildren(table);
}
const rowsOf = (reply, key) => !reply ? null : Array.isArray(reply) ? reply : reply[key] || [];

async function drawTables() {
  const names = ['pools', 'families', 'advice', 'indexes', 'host', 'gpu'];
  const [pools, families, advice, indexes, host, gpu] = await Promise.all(names.map(n => orNull(get(n))));
  drawTable('pools', rowsOf(pools, 'pools'), ['database', 'user', 'cl_active', 'cl_waiting', 'sv_active', 'sv_idle',
    'sv_used', 'sv_login', 'maxwait', 'pool_mode'], 'no pool has been used yet');
  const list = rowsOf(families, 'families');
  if (list) list.sort((a, b) => b.calls * b.mean_ms - a.calls * a.mean_ms);
  drawTable('families', list, ['text', 'calls', 'mean_ms', 'p95_ms', 'p99_ms', 'cache_hits', 'joined', 'pipelined', 'errors',
    'tables', 'indexes', 'family'], 'no query has been seen yet');
  drawTable('advice', rowsOf(advice, 'advice'), ['id', 'kind', 'table', 'object', 'benefit_pct', 'size',
    'confidence', 'reason', 'sql', 'applied'], 'no advice: run ADVISE in the console, or wait for the next run');
  drawTable('indexes', rowsOf(indexes, 'indexes'), ['database', 'table', 'index', 'uses', 'families', 'scan_kind', 'last_used', 'idx_scan',
    'size'], 'no index use has been logged yet');
  drawTable('host', rowsOf(host, 'host'), ['key', 'value'], 'no sample yet');
  drawTable('gpu', rowsOf(gpu, 'gpu'), null, 'no GPU');
}

/* ---- the clock ---- */
let tablesDue = 0;
async function turn() {
  const state = byId('state');
  try {
    const [m, h] = await Promise.all([get('metrics'), orNull(get('history?n=' + SAMPLES))]);
    drawTiles(m, h);
    drawCharts(h);
    if (Date.now() >= tablesDue) {
      await drawTables();
      tablesDue = Date.now() + TABLE_EVERY_MS;
    }
    state.textContent = 'live';
    state.className = '';
  } catch (e) {
    state.textContent = 'no answer from pgweir';
    state.className = 'bad';
    console.error(e);
  }
  setTimeout(turn, CHART_EVERY_MS);
}
turn();
