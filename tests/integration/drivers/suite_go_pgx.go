// pgx 4 with its defaults: statements prepared and cached by itself, binary results, batches, pool, COPY, large objects, LISTEN.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var always = context.Background()

func same(got, want interface{}) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		panic(fmt.Sprintf("got %v, wanted %v", got, want))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func state(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	panic(fmt.Sprintf("no error of PostgreSQL: %v", err))
}

type asker interface {
	QueryRow(context.Context, string, ...interface{}) pgx.Row
}

func number(a asker, sql string, arguments ...interface{}) int {
	var n int
	must(a.QueryRow(always, sql, arguments...).Scan(&n))
	return n
}

func connect() *pgx.Conn {
	conn, err := pgx.Connect(always, "sslmode=disable") // PGHOST and kin say where
	must(err)
	return conn
}

func statements(c *pgx.Conn) {
	_, err := c.Exec(always, "drop table if exists dpgx")
	must(err)
	_, err = c.Exec(always, "create table dpgx (id int primary key, v text, b bytea, f float8, a int[], t timestamptz default now())")
	must(err)
	for i := 0; i < 30; i++ {
		tag, err := c.Exec(always, "insert into dpgx (id, v, b, f, a) values ($1, $2, $3, $4, $5)", i, fmt.Sprint("v", i),
			[]byte{0, byte(i)}, float64(i)/4, []int32{int32(i), 7})
		must(err)
		same(tag.RowsAffected(), 1)
	}
	for i := 0; i < 30; i++ {
		var v string
		var b []byte
		var f float64
		var a []int32
		var t time.Time
		must(c.QueryRow(always, "select v, b, f, a, t from dpgx where id = $1", i).Scan(&v, &b, &f, &a, &t))
		same(v, fmt.Sprint("v", i))
		same(b[1], i)
		same(f, float64(i)/4)
		same(a, []int32{int32(i), 7})
	}
	_, err = c.Prepare(always, "named", "select v from dpgx where id = $1")
	must(err)
	var v string
	must(c.QueryRow(always, "named", 3).Scan(&v))
	same(v, "v3")
	must(c.Deallocate(always, "named"))
	_, err = c.Exec(always, "insert into dpgx (id) values (1)")
	same(state(err), "23505")
	_, err = c.Exec(always, "selec")
	same(state(err), "42601")
	same(c.QueryRow(always, "select v from dpgx where id = -1").Scan(&v), pgx.ErrNoRows)
	// More different texts than it keeps prepared: the oldest are deallocated.
	for i := 0; i < 600; i++ {
		same(number(c, fmt.Sprintf("select %d + $1::int", i), 1), i+1)
	}
	// Both other ways to send a query.
	must(c.QueryRow(always, "select v from dpgx where id = $1", pgx.QuerySimpleProtocol(true), 4).Scan(&v))
	same(v, "v4")
	must(c.QueryRow(always, "select v from dpgx where id = $1", pgx.QueryResultFormats{pgx.TextFormatCode}, 5).Scan(&v))
	same(v, "v5")
	rows, err := c.Query(always, "select id from dpgx order by id")
	must(err)
	n := 0
	for rows.Next() {
		n++
	}
	must(rows.Err())
	same(n, 30)
}

func schemaChanges(c *pgx.Conn) {
	_, err := c.Exec(always, "drop table if exists dpgx_shape")
	must(err)
	_, err = c.Exec(always, "create table dpgx_shape as select 1 as a")
	must(err)
	star := func() (n int, err error) {
		rows, err := c.Query(always, "select * from dpgx_shape")
		if err != nil {
			return 0, err
		}
		for rows.Next() {
			n = len(rows.FieldDescriptions())
		}
		return n, rows.Err()
	}
	n, err := star()
	must(err)
	same(n, 1)
	_, err = c.Exec(always, "alter table dpgx_shape add b text")
	must(err)
	if n, err = star(); err != nil { // as PostgreSQL itself says it of a prepared statement; pgx then prepares again
		same(state(err), "0A000")
		n, err = star()
	}
	must(err)
	same(n, 2)
}

func transactions(c *pgx.Conn) {
	tx, err := c.Begin(always)
	must(err)
	_, err = tx.Exec(always, "delete from dpgx")
	must(err)
	must(tx.Rollback(always))
	same(number(c, "select count(*) from dpgx"), 30)
	tx, err = c.BeginTx(always, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	must(err)
	_, err = tx.Exec(always, "update dpgx set v = 'no'")
	same(state(err), "25006")
	must(tx.Rollback(always))
	tx, err = c.Begin(always)
	must(err)
	nested, err := tx.Begin(always) // a savepoint
	must(err)
	_, err = nested.Exec(always, "select nope")
	same(state(err), "42703")
	must(nested.Rollback(always))
	_, err = tx.Exec(always, "update dpgx set v = 'tx' where id = $1", 1)
	must(err)
	must(tx.Commit(always))
	var v string
	must(c.QueryRow(always, "select v from dpgx where id = 1").Scan(&v))
	same(v, "tx")
}

func batches(c *pgx.Conn) {
	batch := &pgx.Batch{}
	for i := 0; i < 50; i++ {
		batch.Queue("select $1::int + id from dpgx where id = $2", i, i%30)
	}
	results := c.SendBatch(always, batch)
	for i := 0; i < 50; i++ {
		var n int
		must(results.QueryRow().Scan(&n))
		same(n, i+i%30)
	}
	must(results.Close())
	// One that fails takes the implicit transaction with it.
	batch = &pgx.Batch{}
	batch.Queue("update dpgx set v = 'batch' where id = 2")
	batch.Queue("insert into dpgx (id) values ($1)", 1)
	batch.Queue("select 1")
	results = c.SendBatch(always, batch)
	_, err := results.Exec()
	must(err)
	_, err = results.Exec()
	same(state(err), "23505")
	results.Close()
	same(number(c, "select count(*) from dpgx where v = 'batch'"), 0)
	// Several statements in one text.
	all, err := c.PgConn().Exec(always, "select 1; select 2, 3; select 4").ReadAll()
	must(err)
	same(len(all), 3)
	same(string(all[1].Rows[0][1]), "3")
}

func copying(c *pgx.Conn) {
	lines := make([][]interface{}, 500)
	for i := range lines {
		lines[i] = []interface{}{1000 + i, "copied"}
	}
	n, err := c.CopyFrom(always, pgx.Identifier{"dpgx"}, []string{"id", "v"}, pgx.CopyFromRows(lines))
	must(err)
	same(n, 500)
	_, err = c.CopyFrom(always, pgx.Identifier{"dpgx"}, []string{"id", "v"}, pgx.CopyFromRows(lines))
	same(state(err), "23505")
	same(number(c, "select count(*) from dpgx"), 530)
	counter := new(lineCounter)
	_, err = c.PgConn().CopyTo(always, counter, "copy dpgx (id, v) to stdout")
	must(err)
	same(*counter, 530)
}

type lineCounter int

func (n *lineCounter) Write(p []byte) (int, error) {
	for _, b := range p {
		if b == '\n' {
			*n++
		}
	}
	return len(p), nil
}

func largeObjects(c *pgx.Conn) {
	tx, err := c.Begin(always)
	must(err)
	objects := tx.LargeObjects()
	oid, err := objects.Create(always, 0)
	must(err)
	object, err := objects.Open(always, oid, pgx.LargeObjectModeRead|pgx.LargeObjectModeWrite)
	must(err)
	_, err = object.Write([]byte("large object"))
	must(err)
	_, err = object.Seek(6, io.SeekStart)
	must(err)
	rest, err := io.ReadAll(object)
	must(err)
	same(string(rest), "object")
	must(objects.Unlink(always, oid))
	must(tx.Commit(always))
}

func cancelling(c *pgx.Conn) {
	// By a request on another connection, which this one survives.
	ended := make(chan error)
	go func() {
		_, err := c.Exec(always, "select pg_sleep(60)")
		ended <- err
	}()
	other := connect()
	for number(other, "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'") == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	must(c.PgConn().CancelRequest(always))
	same(state(<-ended), "57014")
	same(number(c, "select 6"), 6)
	// By a context: pgx gives the connection up.
	soon, stop := context.WithTimeout(always, 200*time.Millisecond)
	_, err := other.Exec(soon, "select pg_sleep(60)")
	stop()
	if err == nil || !other.IsClosed() {
		panic(fmt.Sprint("not given up: ", err))
	}
}

func notifications(c *pgx.Conn) {
	listener := connect()
	_, err := listener.Exec(always, "listen dpgx_channel")
	must(err)
	_, err = c.Exec(always, "select pg_notify('dpgx_channel', $1)", "payload")
	must(err)
	patient, stop := context.WithTimeout(always, 60*time.Second)
	note, err := listener.WaitForNotification(patient)
	stop()
	must(err)
	same(note.Payload, "payload")
	must(listener.Close(always))
}

func pools() {
	pool, err := pgxpool.Connect(always, "sslmode=disable pool_max_conns=20")
	must(err)
	var all sync.WaitGroup
	for g := 0; g < 40; g++ {
		all.Add(1)
		go func(mine int) {
			defer all.Done()
			for i := 0; i < 20; i++ {
				same(number(pool, "select $1::int + id from dpgx where id = $2", mine, i), mine+i)
			}
		}(g)
	}
	all.Wait()
	pool.Close()
}

func main() {
	c := connect()
	statements(c)
	schemaChanges(c)
	transactions(c)
	batches(c)
	copying(c)
	largeObjects(c)
	cancelling(c)
	notifications(c)
	pools()
	must(c.Close(always))
}
