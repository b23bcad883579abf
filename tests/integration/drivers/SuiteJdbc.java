import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import org.postgresql.PGConnection;

/** pgjdbc with its defaults: named statements after five executions, batches, fetch size, COPY, cancel, notify. */
public class SuiteJdbc {
    static void same(Object got, Object want) {
        if (!want.equals(got)) throw new AssertionError("got " + got + ", wanted " + want);
    }

    static Connection open() throws SQLException {
        return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
                + System.getenv("PGDATABASE"), System.getenv("PGUSER"), "");
    }

    public static void main(String[] args) throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            s.execute("drop table if exists dj; create table dj (id int primary key, v text, ts timestamptz default now())");
            try (PreparedStatement p = c.prepareStatement("insert into dj (id, v) values (?, ?)")) {
                for (int i = 0; i < 300; i++) { p.setInt(1, i); p.setString(2, "v" + i); p.addBatch(); }
                same(p.executeBatch().length, 300);
            }
            try (PreparedStatement p = c.prepareStatement("select v, ts from dj where id = ?")) {
                for (int i = 0; i < 30; i++) {
                    p.setInt(1, i);
                    try (ResultSet r = p.executeQuery()) { r.next(); same(r.getString(1), "v" + i); r.getTimestamp(2); }
                }
            }
            try { s.execute("insert into dj values (1)"); throw new AssertionError("no error"); }
            catch (SQLException e) { same(e.getSQLState(), "23505"); }
            c.setAutoCommit(false);
            s.executeUpdate("delete from dj");
            c.rollback();
            Savepoint sp = c.setSavepoint();
            try { s.execute("select nope"); } catch (SQLException e) { c.rollback(sp); }
            s.executeUpdate("update dj set v = 'tx' where id = 1");
            c.commit();
            try (PreparedStatement p = c.prepareStatement("select id from dj order by id")) {
                p.setFetchSize(50); // a portal fetched in parts
                int n = 0;
                try (ResultSet r = p.executeQuery()) { while (r.next()) same(r.getInt(1), n++); }
                same(n, 300);
            }
            c.commit();
            c.setAutoCommit(true);
            c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            try (ResultSet r = s.executeQuery("show transaction_isolation")) { r.next(); same(r.getString(1), "serializable"); }
            c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            PGConnection pg = c.unwrap(PGConnection.class);
            StringBuilder data = new StringBuilder();
            for (int i = 1000; i < 2000; i++) data.append(i).append("\tcopied\n");
            same(pg.getCopyAPI().copyIn("copy dj (id, v) from stdin", new StringReader(data.toString())), 1000L);
            StringWriter out = new StringWriter();
            same(pg.getCopyAPI().copyOut("copy dj (id, v) to stdout", out), 1300L);
            c.setAutoCommit(false);
            org.postgresql.largeobject.LargeObjectManager manager = pg.getLargeObjectAPI();
            long oid = manager.createLO();
            org.postgresql.largeobject.LargeObject lo = manager.open(oid);
            lo.write("large object".repeat(1000).getBytes());
            lo.seek(6);
            same(new String(lo.read(6)), "object");
            lo.close();
            manager.delete(oid);
            c.commit();
            c.setAutoCommit(true);
            s.setQueryTimeout(1);
            try { s.execute("select pg_sleep(30)"); throw new AssertionError("not cancelled"); }
            catch (SQLException e) { same(e.getSQLState(), "57014"); }
            s.setQueryTimeout(0);
            s.execute("listen dj_channel");
            try (Connection o = open(); Statement t = o.createStatement()) { t.execute("notify dj_channel, 'payload'"); }
            org.postgresql.PGNotification[] notes = pg.getNotifications(20000);
            same(notes[0].getParameter(), "payload");
            try (PreparedStatement p = c.prepareStatement("select * from dj where id = 2")) {
                for (int i = 0; i < 10; i++) p.executeQuery().close();
                s.execute("alter table dj add column extra int default 4");
                try (ResultSet r = p.executeQuery()) { r.next(); same(r.getInt(4), 4); } // pgjdbc prepares again by itself
            }
            s.execute("set search_path = pg_catalog; set search_path = public");
            DatabaseMetaData meta = c.getMetaData();
            try (ResultSet r = meta.getColumns(null, "public", "dj", null)) { int n = 0; while (r.next()) n++; same(n, 4); }
        }
        Thread[] threads = new Thread[20];
        java.util.concurrent.atomic.AtomicInteger good = new java.util.concurrent.atomic.AtomicInteger();
        for (int t = 0; t < threads.length; t++) {
            final int mine = t;
            threads[t] = new Thread(() -> {
                try (Connection c = open(); PreparedStatement p = c.prepareStatement("select ?::int + id from dj where id = ?")) {
                    for (int i = 0; i < 50; i++) {
                        p.setInt(1, mine); p.setInt(2, i);
                        try (ResultSet r = p.executeQuery()) { r.next(); same(r.getInt(1), mine + i); }
                    }
                    good.incrementAndGet();
                } catch (SQLException e) { e.printStackTrace(); }
            });
            threads[t].start();
        }
        for (Thread t : threads) t.join();
        same(good.get(), threads.length);
    }
}
