#!/usr/bin/python3
"""Several workers share one pool: nobody starves because of where the kernel put its connection."""
import threading

import support
from support import pgwire


class Fairness(support.Case):
    """Every client always has a request waiting, and there are fewer server connections than workers."""

    proxy_only = True
    database = {"pool_size": 1, "query_wait_timeout": "20s"}
    sections = {"pgweir": {"workers": 3}}
    clients = 24

    def workers_of(self):
        rows = [line.split("|") for line in self.weir.console("SHOW CLIENTS").splitlines() if line.startswith("C ")]
        return [row[-1].strip() for row in rows]

    def test_nobody_starves(self):
        conns = [self.client() for _ in range(self.clients)]
        self.assertGreater(len(set(self.workers_of())), 1, "all clients are on one worker: nothing is tested")
        served, stop, errors = [0] * self.clients, threading.Event(), []

        def work(number):
            try:
                while not stop.is_set():
                    conns[number].rows("select pg_sleep(0.003) as work")
                    served[number] += 1
            except (pgwire.WireError, OSError) as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=[number]) for number in range(self.clients)]
        for thread in threads:
            thread.start()
        support.wait_until(lambda: sum(served) > 1000 or errors, "a thousand requests", 240)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        # Fair: within a factor of four of an equal share, whichever worker a client is on.
        self.assertGreater(min(served), sum(served) / self.clients / 4, served)

    def test_transactions_too(self):
        """The same with connections held by transactions: each client gets its turn."""
        conns = [self.client() for _ in range(8)]
        served, errors = [0] * len(conns), []

        def work(number):
            try:
                for _ in range(20):
                    conns[number].rows("begin")
                    conns[number].rows("select 1")
                    conns[number].rows("commit")
                    served[number] += 1
            except (pgwire.WireError, OSError) as error:
                errors.append(error)

        joins = [self.in_thread(work, number) for number in range(len(conns))]
        for join in joins:
            join(120)
        self.assertEqual(errors, [])
        self.assertEqual(served, [20] * len(conns))


class FairnessOfTwo(Fairness):
    database = {"pool_size": 2, "query_wait_timeout": "20s"}
    sections = {"pgweir": {"workers": 2}}


if __name__ == "__main__":
    support.main()
