package postgres

import "testing"

// What became of a transaction is told right although an earlier look-up of it was carried out and its answer lost.
func TestLookUpTwice(t *testing.T) {
	n := openNode(t, schema.Start(t).URL(), "a")
	n.accept(t, n.ownedWaybill(t))
	var kept [16]byte
	if err := n.pool.QueryRow(t.Context(), "SELECT id FROM commits LIMIT 1").Scan(&kept); err != nil {
		t.Fatal(err)
	}
	lost := newID()
	for range 2 {
		if abandoned, err := n.abandon(t.Context(), lost); err != nil || !abandoned {
			t.Errorf("a transaction that never committed: abandoned %v, %v", abandoned, err)
		}
		if abandoned, err := n.abandon(t.Context(), kept); err != nil || abandoned {
			t.Errorf("a transaction that committed: abandoned %v, %v", abandoned, err)
		}
	}
	checkStore(t, n.Store)
}

// Partitions that this node knows are made anew if they are gone, as after a standby took over that lacked them.
func TestPartitionsAreGone(t *testing.T) {
	n := openNode(t, schema.Start(t).URL(), "a")
	if _, err := n.pool.Exec(t.Context(), "DROP TABLE "+partitionName(partitionRows)); err != nil {
		t.Fatal(err)
	}
	n.accept(t, n.ownedWaybill(t))
}

// A server whose default is another isolation level changes nothing: transactions rely on each statement seeing what was
// committed before it.
func TestIsolationOfServer(t *testing.T) {
	db := schema.Start(t)
	first := openNode(t, db.URL(), "a")
	if _, err := first.pool.Exec(t.Context(), "ALTER DATABASE "+db.Name+" SET default_transaction_isolation = 'repeatable read'"); err != nil {
		t.Fatal(err)
	}
	second := openNode(t, db.URL(), "b")
	var level string
	if err := second.pool.QueryRow(t.Context(), "SHOW default_transaction_isolation").Scan(&level); err != nil || level != "read committed" {
		t.Errorf("transactions are %q, %v", level, err)
	}
}
