// lib/pq with its defaults: database/sql's pool, prepared statements, COPY, cancel by context, LISTEN.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/lib/pq"
)

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
	var e *pq.Error
	if errors.As(err, &e) {
		return string(e.Code)
	}
	panic(fmt.Sprintf("no error of PostgreSQL: %v", err))
}

func one(row *sql.Row) string {
	var s string
	must(row.Scan(&s))
	return s
}

func main() {
	dsn := fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable", os.Getenv("PGHOST"), os.Getenv("PGPORT"), os.Getenv("PGUSER"),
		os.Getenv("PGDATABASE"))
	db, err := sql.Open("postgres", dsn)
	must(err)
	db.SetMaxOpenConns(20)
	_, err = db.Exec("drop table if exists dgo; create table dgo (id int primary key, v text, b bytea, t timestamptz default now())")
	must(err)
	insert, err := db.Prepare("insert into dgo (id, v, b) values ($1, $2, $3)")
	must(err)
	for i := 0; i < 30; i++ {
		_, err = insert.Exec(i, fmt.Sprintf("v%d", i), []byte{0, byte(i)})
		must(err)
	}
	for i := 0; i < 30; i++ {
		var v string
		var b []byte
		var t time.Time
		must(db.QueryRow("select v, b, t from dgo where id = $1", i).Scan(&v, &b, &t))
		same(v, fmt.Sprintf("v%d", i))
		same(b[1], i)
	}
	must(insert.Close())
	_, err = db.Exec("insert into dgo (id) values (1)")
	same(state(err), "23505")
	_, err = db.Exec("selec")
	same(state(err), "42601")

	tx, err := db.Begin()
	must(err)
	_, err = tx.Exec("delete from dgo")
	must(err)
	must(tx.Rollback())
	same(one(db.QueryRow("select count(*) from dgo")), 30)
	tx, err = db.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true})
	must(err)
	same(one(tx.QueryRow("show transaction_isolation")), "serializable")
	_, err = tx.Exec("update dgo set v = 'no'")
	same(state(err), "25006")
	must(tx.Rollback())
	tx, err = db.Begin()
	must(err)
	_, err = tx.Exec("savepoint s")
	must(err)
	_, err = tx.Exec("select nope")
	same(state(err), "42703")
	_, err = tx.Exec("rollback to s")
	must(err)
	_, err = tx.Exec("update dgo set v = 'tx' where id = $1", 1)
	must(err)
	must(tx.Commit())
	same(one(db.QueryRow("select v from dgo where id = 1")), "tx")

	tx, err = db.Begin()
	must(err)
	in, err := tx.Prepare(pq.CopyIn("dgo", "id", "v"))
	must(err)
	for i := 1000; i < 1500; i++ {
		_, err = in.Exec(i, "copied")
		must(err)
	}
	_, err = in.Exec()
	must(err)
	must(in.Close())
	must(tx.Commit())
	same(one(db.QueryRow("select count(*) from dgo")), 530)
	tx, err = db.Begin()
	must(err)
	in, err = tx.Prepare(pq.CopyIn("dgo", "id"))
	must(err)
	_, err = in.Exec("not a number")
	if err == nil {
		_, err = in.Exec()
	}
	same(state(err), "22P02")
	tx.Rollback()

	rows, err := db.Query("select id from dgo order by id")
	must(err)
	n := 0
	for rows.Next() {
		n++
	}
	must(rows.Err())
	same(n, 530)

	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	_, err = db.ExecContext(ctx, "select pg_sleep(30)")
	cancel()
	same(state(err), "57014")
	same(one(db.QueryRow("select 6")), 6)

	listener := pq.NewListener(dsn, time.Second, time.Minute, nil)
	must(listener.Listen("dgo_channel"))
	_, err = db.Exec("notify dgo_channel, 'payload'")
	must(err)
	select {
	case note := <-listener.Notify:
		same(note.Extra, "payload")
	case <-time.After(20 * time.Second):
		panic("no notification")
	}
	must(listener.Close())

	tx, err = db.Begin()
	must(err)
	oid := one(tx.QueryRow("select lo_from_bytea(0, $1)", []byte("large object")))
	same(one(tx.QueryRow("select convert_from(lo_get($1::oid), 'UTF8')", oid)), "large object")
	same(one(tx.QueryRow("select lo_unlink($1::oid)", oid)), 1)
	must(tx.Commit())

	var all sync.WaitGroup
	for g := 0; g < 40; g++ {
		all.Add(1)
		go func(mine int) {
			defer all.Done()
			for i := 0; i < 20; i++ {
				same(one(db.QueryRow("select $1::int + id from dgo where id = $2", mine, i)), mine+i)
			}
		}(g)
	}
	all.Wait()
	must(db.Close())
}
