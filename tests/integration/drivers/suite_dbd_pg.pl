# DBD::Pg with its defaults: server-side prepare, transactions, COPY, notify.
use strict;
use warnings;
use DBI;

sub same { my ($got, $want, $what) = @_; die "$what: got '$got', wanted '$want'\n" unless defined $got && $got eq $want; }

my $db = DBI->connect("dbi:Pg:", undef, undef, {RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1});
$db->do("drop table if exists dp");
$db->do("create table dp (id int primary key, v text)");
my $insert = $db->prepare("insert into dp values (?, ?)");
$insert->execute($_, "v$_") for 1 .. 30;
my $select = $db->prepare("select v from dp where id = ?");
for my $i (1 .. 30) {
    $select->execute($i);
    same($select->fetchrow_array, "v$i", "prepared select");
}
eval { $db->do("insert into dp values (1, 'again')") };
same($db->state, "23505", "sqlstate");
$db->begin_work;
$db->do("delete from dp");
$db->rollback;
same($db->selectrow_array("select count(*) from dp"), 30, "rollback");
$db->begin_work;
$db->do("savepoint s");
eval { $db->do("select nope") };
$db->do("rollback to s");
$db->do("update dp set v = 'tx' where id = 1");
$db->commit;
same($db->selectrow_array("select v from dp where id = 1"), "tx", "commit");
$db->do("copy dp from stdin");
$db->pg_putcopydata("$_\tcopied\n") for 100 .. 599;
$db->pg_putcopyend;
same($db->selectrow_array("select count(*) from dp"), 530, "copy in");
$db->do("copy dp to stdout");
my ($line, $lines) = ("", 0);
$lines++ while $db->pg_getcopydata($line) >= 0;
same($lines, 530, "copy out");
# Large objects, by libpq's function calls.
$db->begin_work;
my $oid = $db->pg_lo_creat($db->{pg_INV_WRITE});
my $fd = $db->pg_lo_open($oid, $db->{pg_INV_WRITE});
same($db->pg_lo_write($fd, "large object" x 1000, 12000), 12000, "lo_write");
$db->pg_lo_lseek($fd, 6, 0);
my $part = "";
same($db->pg_lo_read($fd, $part, 6), 6, "lo_read");
same($part, "object", "large object");
$db->pg_lo_close($fd);
same($db->pg_lo_unlink($oid), 1, "lo_unlink");
$db->commit;
# A query in the background, cancelled.
$db->do("select pg_sleep(30)", {pg_async => 1});
$db->pg_cancel;
same($db->selectrow_array("select 'after cancel'"), "after cancel", "cancel");
# Statements that come and go: each is deallocated in SQL.
for my $i (1 .. 40) {
    my $gone = $db->prepare("select $i + ?::int", {pg_prepare_now => 1});
    $gone->execute(1);
    same($gone->fetchrow_array, $i + 1, "short-lived statement");
    $gone->finish;
}
$db->do("listen dp_channel");
my $other = DBI->connect("dbi:Pg:", undef, undef, {RaiseError => 1});
$other->do("notify dp_channel, 'payload'");
my $note;
for (1 .. 2000) { $note = $db->pg_notifies and last; select(undef, undef, undef, 0.01); }
same($note->[2], "payload", "notification");
$select->finish;
$other->disconnect;
$db->disconnect;
