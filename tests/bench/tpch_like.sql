-- A TPC-H-like schema of our own making with primary keys only, analyzed. :sf is the number of orders (psql -v sf=150000).
CREATE EXTENSION IF NOT EXISTS hypopg;
CREATE TABLE nation (n_key int PRIMARY KEY, n_name text, n_region int);
CREATE TABLE supplier (s_key int PRIMARY KEY, s_nation int, s_balance numeric(12,2), s_name text);
CREATE TABLE customer (c_key int PRIMARY KEY, c_nation int, c_segment text, c_balance numeric(12,2), c_name text, c_phone text);
CREATE TABLE part (p_key int PRIMARY KEY, p_brand text, p_type text, p_size int, p_container text, p_price numeric(12,2));
CREATE TABLE partsupp (ps_part int, ps_supp int, ps_qty int, ps_cost numeric(12,2), PRIMARY KEY (ps_part, ps_supp));
CREATE TABLE orders (o_key int PRIMARY KEY, o_cust int, o_status text, o_total numeric(12,2), o_date date, o_priority text, o_clerk text, o_comment text);
CREATE TABLE lineitem (l_order int, l_line int, l_part int, l_supp int, l_qty int, l_price numeric(12,2), l_discount numeric(4,2), l_flag text, l_status text,
    l_ship date, l_commit date, l_receipt date, l_mode text, l_comment text, PRIMARY KEY (l_order, l_line));
SELECT setseed(0.42);
INSERT INTO nation SELECT i, 'nation ' || i, i % 5 FROM generate_series(0, 24) i;
INSERT INTO supplier SELECT i, (random() * 24)::int, random() * 10000, 'supplier ' || i FROM generate_series(1, :sf / 150) i;
INSERT INTO customer SELECT i, (random() * 24)::int, (ARRAY['auto', 'build', 'furn', 'house', 'mach'])[1 + i % 5], random() * 10000, 'customer ' || i,
    10 + i % 25 || '-' || i FROM generate_series(1, :sf / 10) i;
INSERT INTO part SELECT i, 'brand#' || i % 25, (ARRAY['tin', 'steel', 'brass', 'nickel', 'copper'])[1 + i % 5] || ' ' || i % 30, 1 + i % 50,
    (ARRAY['sm box', 'lg case', 'med bag', 'jumbo jar'])[1 + i % 4] || ' ' || i % 10, random() * 2000 FROM generate_series(1, :sf * 2 / 15) i;
INSERT INTO partsupp SELECT p, 1 + (p * 7 + s * (:sf / 600)) % (:sf / 150), (random() * 9999)::int, random() * 1000
    FROM generate_series(1, :sf * 2 / 15) p, generate_series(0, 3) s ON CONFLICT DO NOTHING;
INSERT INTO orders SELECT i, 1 + (random() * (:sf / 10 - 1))::int, (ARRAY['F', 'O', 'P'])[1 + (random() * 2)::int], random() * 300000,
    date '1992-01-01' + (random() * 2405)::int, (ARRAY['1-urgent', '2-high', '3-medium', '4-low', '5-none'])[1 + i % 5], 'clerk ' || i % 1000, repeat('c', 40)
    FROM generate_series(1, :sf) i;
INSERT INTO lineitem SELECT o, l, 1 + (random() * (:sf * 2 / 15 - 1))::int, 1 + (random() * (:sf / 150 - 1))::int, 1 + (random() * 49)::int, random() * 90000,
    (random() * 10)::int / 100.0, (ARRAY['A', 'N', 'R'])[1 + (random() * 2)::int], (ARRAY['F', 'O'])[1 + o % 2], d, d + (random() * 60)::int, d + 1 + (random() * 29)::int,
    (ARRAY['air', 'rail', 'ship', 'truck', 'mail', 'fob', 'reg air'])[1 + (random() * 6)::int], repeat('x', 27)
    FROM (SELECT o, l, date '1992-01-01' + (random() * 2400)::int AS d FROM generate_series(1, :sf) o, generate_series(1, 4) l) g;
VACUUM ANALYZE;
