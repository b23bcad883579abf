# ruby-pg with its defaults.
require 'pg'

def same(got, want)
  raise "got #{got.inspect}, wanted #{want.inspect}" unless got == want
end

c = PG.connect
c.exec 'set client_min_messages = warning; drop table if exists dr; create table dr (id int primary key, v text)'
c.prepare 'ins', 'insert into dr values ($1, $2)'
30.times { |i| c.exec_prepared 'ins', [i, "v#{i}"] }
30.times { |i| same c.exec_params('select v from dr where id = $1', [i]).getvalue(0, 0), "v#{i}" }
begin
  c.exec "insert into dr values (1, 'again')"
  raise 'no error'
rescue PG::UniqueViolation => e
  same e.result.error_field(PG::PG_DIAG_SQLSTATE), '23505'
end
c.transaction do |t|
  t.exec 'update dr set v = $$tx$$ where id = 1'
end
begin
  c.transaction { |t| t.exec 'delete from dr'; t.exec 'select nope' }
rescue PG::UndefinedColumn
  same c.exec('select count(*) from dr').getvalue(0, 0), '30'
end
c.copy_data('copy dr from stdin') { 500.times { |i| c.put_copy_data "#{1000 + i}\tcopied\n" } }
lines = 0
c.copy_data('copy dr to stdout') { lines += 1 while c.get_copy_data }
same lines, 530
c.send_query 'select pg_sleep(30)'
c.cancel
begin
  c.get_last_result
rescue PG::QueryCanceled
end
c.transaction do
  oid = c.lo_creat
  fd = c.lo_open oid, PG::INV_WRITE | PG::INV_READ
  same c.lo_write(fd, 'large object' * 1000), 12_000
  c.lo_lseek fd, 6, PG::SEEK_SET
  same c.lo_read(fd, 6), 'object'
  c.lo_close fd
  c.lo_unlink oid
end
30.times do |i| # as ActiveRecord does with its statement pool
  c.prepare "a#{i}", "select $1::int + #{i}"
  same c.exec_prepared("a#{i}", [1]).getvalue(0, 0), (i + 1).to_s
  c.exec "DEALLOCATE a#{i}"
end
begin
  c.exec_prepared 'a1', [1]
  raise 'still there'
rescue PG::InvalidSqlStatementName
end
c.exec 'listen dr_channel'
o = PG.connect
o.exec "notify dr_channel, 'payload'"
same c.wait_for_notify(20) { |_, _, payload| same payload, 'payload' }, 'dr_channel'
c.enter_pipeline_mode
5.times { |i| c.send_query_params 'select $1::int * 2', [i] }
c.pipeline_sync
5.times { |i| same c.get_result.getvalue(0, 0), (i * 2).to_s; c.get_result }
same c.get_result.result_status, PG::PGRES_PIPELINE_SYNC
c.exit_pipeline_mode
same c.exec('select 8').getvalue(0, 0), '8'
