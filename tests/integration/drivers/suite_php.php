<?php
// PHP's pgsql and PDO with their defaults (PDO prepares on the server).
function same($got, $want) { if ($got !== $want) { fwrite(STDERR, "got " . var_export($got, true) . ", wanted " . var_export($want, true) . "\n"); exit(1); } }

$pdo = new PDO('pgsql:host=' . getenv('PGHOST') . ';port=' . getenv('PGPORT') . ';dbname=' . getenv('PGDATABASE'), getenv('PGUSER'));
$pdo->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
$pdo->exec('drop table if exists dphp');
$pdo->exec('create table dphp (id int primary key, v text)');
$insert = $pdo->prepare('insert into dphp values (?, ?)');
for ($i = 0; $i < 30; $i++) $insert->execute([$i, "v$i"]);
for ($i = 0; $i < 30; $i++) {
    $select = $pdo->prepare('select v from dphp where id = :id');
    $select->execute(['id' => $i]);
    same($select->fetchColumn(), "v$i");
}
try { $pdo->exec("insert into dphp values (1, 'again')"); same('no error', ''); } catch (PDOException $e) { same($e->getCode(), '23505'); }
$pdo->beginTransaction();
$pdo->exec('delete from dphp');
$pdo->rollBack();
same($pdo->query('select count(*) from dphp')->fetchColumn(), 30);
same($pdo->pgsqlCopyFromArray('dphp', array_map(fn($i) => "$i\tcopied\n", range(100, 599))), true);
same(count($pdo->pgsqlCopyToArray('dphp')), 530);

$c = pg_connect('');
for ($i = 0; $i < 10; $i++) same(pg_fetch_result(pg_query_params($c, 'select v from dphp where id = $1', [$i]), 0, 0), "v$i");
pg_prepare($c, 'named', 'select $1::int + 1');
for ($i = 0; $i < 10; $i++) same(pg_fetch_result(pg_execute($c, 'named', [$i]), 0, 0), (string)($i + 1));
pg_query($c, 'begin');
$oid = pg_lo_create($c);
$lo = pg_lo_open($c, $oid, 'w+');
same(pg_lo_write($lo, str_repeat('large object', 1000)), 12000);
pg_lo_seek($lo, 6, PGSQL_SEEK_SET);
same(pg_lo_read($lo, 6), 'object');
pg_lo_close($lo);
pg_query($c, 'commit');
pg_query($c, 'begin');
same(pg_lo_unlink($c, $oid), true);
pg_query($c, 'commit');
same(pg_copy_from($c, 'dphp', ["9000\tcopied\n"]), true);
same(@pg_query($c, 'select nope'), false);
same(pg_result_error_field(pg_send_query($c, 'select 1/0') ? pg_get_result($c) : null, PGSQL_DIAG_SQLSTATE), '22012');
pg_get_result($c);
pg_send_query($c, 'select pg_sleep(30)');
same(pg_cancel_query($c), true);
same(pg_fetch_result(pg_query($c, "select 'after cancel'"), 0, 0), 'after cancel');
pg_query($c, 'listen dphp_channel');
$pdo->exec("notify dphp_channel, 'payload'");
for ($n = false, $t = 0; !$n && $t < 2000; $t++) { $n = pg_get_notify($c, PGSQL_ASSOC); if (!$n) usleep(10000); }
same($n['payload'], 'payload');
