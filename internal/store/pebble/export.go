package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/seal"
)

// Export calls use with every record, in the order of their keys.
func (s *Store) Export(ctx context.Context, use func(*store.Record) error) error {
	return s.view(func(db cdb.Reader) error { return newExporter(ctx, db, s.keys, use).all() })
}

// Exporter gives away a store that no process has open, such as a backup; see store.Source. It writes nothing but that the
// store has moved.
type Exporter struct {
	s *Store
}

// OpenExporter opens a folder to be read, and keeps everybody else out of it until Close.
func OpenExporter(dir string, o Options) (*Exporter, error) {
	s := newStore(dir, o.withDefaults())
	s.readOnly = true
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	if err := refuseHalfImported(s.db); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", dir, err), s.release())
	}
	return &Exporter{s}, nil
}

// Instance is the store's own name, a UUID. A backup has that of what it is a copy of.
func (e *Exporter) Instance() string { return e.s.instance }

// Serving tells who serves from it: nobody, as long as this is open.
func (e *Exporter) Serving(context.Context) ([]string, error) { return nil, nil }

// Size is what the files take, in bytes.
func (e *Exporter) Size(context.Context) (uint64, error) {
	return e.s.db.Metrics().DiskSpaceUsage(), nil
}

// Export calls use with every record, in the order of their keys.
func (e *Exporter) Export(ctx context.Context, use func(*store.Record) error) error {
	return e.s.Export(ctx, use)
}

// Moved notes where all of it has gone. From then on the folder can't be opened.
func (e *Exporter) Moved(_ context.Context, to string) error {
	home := newHome(e.s.opts.FS, e.s.dir)
	if err := home.writeFile(home.moved, to+"\n"); err != nil {
		return fmt.Errorf("store %s: note that it has moved: %w", e.s.dir, err)
	}
	return nil
}

// Close lets others open the folder.
func (e *Exporter) Close() error { return e.s.release() }

// exporter reads a store as records.
type exporter struct {
	ctx  context.Context
	db   cdb.Reader
	keys seal.Keys
	use  func(*store.Record) error
	// filling says that the store is being filled: what an interrupted import left incomplete is given as it is, to be
	// mended by the next.
	filling bool
}

func newExporter(ctx context.Context, db cdb.Reader, keys seal.Keys, use func(*store.Record) error) *exporter {
	x := &exporter{ctx: ctx, db: db, keys: keys}
	x.use = func(r *store.Record) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		return use(r)
	}
	return x
}

// all gives the records in the order of store.Record.Key.
func (x *exporter) all() error {
	for _, part := range []func() error{
		x.accounts,
		numberedRecords(x, tableAudit, func(e store.AuditEntry) *store.Record { return &store.Record{Act: &e} }),
		numberedRecords(x, tableLetters, func(d store.DeadLetter) *store.Record { return &store.Record{Letter: &d} }),
		x.marks,
		x.notices,
		numberedRecords(x, tableReplays, func(r store.Replay) *store.Record { return &store.Record{Replay: &r} }),
		x.secrets,
		x.uses,
		x.waybills,
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) accounts() error {
	return scan(x.db, []byte{tableAccounts}, func(key, value []byte) (bool, error) {
		a, err := decodeAccount(value)
		if err != nil {
			return false, damaged(key, err)
		}
		return true, x.use(&store.Record{Account: &store.AccountRecord{DeliveryID: string(key[1:]), Account: a}})
	})
}

// numberedRecords gives the rows of a table that is numbered by itself.
func numberedRecords[T any](x *exporter, table byte, record func(T) *store.Record) func() error {
	return func() error {
		return scan(x.db, []byte{table}, func(key, value []byte) (bool, error) {
			var item T
			if err := decodeJSON(value, &item); err != nil {
				return false, damaged(key, err)
			}
			return true, x.use(record(item))
		})
	}
}

func (x *exporter) marks() error {
	m := &store.Marks{Events: map[string]int64{}}
	kept := newCounters()
	err := scan(x.db, []byte{tableCounters}, func(key, value []byte) (bool, error) {
		if err := kept.load(string(key[1:]), value); err != nil {
			return false, damaged(key, err)
		}
		return true, nil
	})
	for v, n := range kept.events {
		if n != 0 {
			m.Events[state.Verdict(v).String()] = n
		}
	}
	m.Pruned = kept.pruned
	for _, number := range []struct {
		to        *uint64
		key       []byte
		otherwise uint64
	}{{&m.Next, metaNext, 1}, {&m.Letters, metaLetters, 0}} {
		n, nerr := readNumber(x.db, number.key, number.otherwise)
		*number.to, err = n, errors.Join(err, nerr)
	}
	for _, last := range []struct {
		to    *uint64
		table byte
	}{{&m.Audits, tableAudit}, {&m.Replays, tableReplays}, {&m.Letters, tableLetters}} {
		n, nerr := lastOf(x.db, last.table)
		*last.to, err = max(*last.to, uint64(n)), errors.Join(err, nerr)
	}
	told, terr := x.told()
	clock, cerr := readNumber(x.db, metaClock, 0)
	received, rerr := newestReceived(x.db)
	m.Told, m.Clock = told, max(int64(clock), received)
	if err = errors.Join(err, terr, cerr, rerr); err != nil {
		return err
	}
	return x.use(&store.Record{Marks: m})
}

// told is the number before the first notice that waits, or the highest that was given.
func (x *exporter) told() (number uint64, err error) {
	if number, err = readNumber(x.db, metaTold, 0); err != nil {
		return 0, err
	}
	err = scan(x.db, []byte{tableNotices}, func(key, value []byte) (bool, error) {
		n, err := decodeNotice(value)
		if err == nil && n.isNothing() {
			return true, nil
		}
		number = keySeq(key) - 1
		return false, nil // What is damaged is told of by whoever reads it all.
	})
	return number, err
}

func (x *exporter) notices() error {
	return scan(x.db, []byte{tableNotices}, func(key, value []byte) (bool, error) {
		n, err := decodeNotice(value)
		if err != nil {
			return false, damaged(key, err)
		}
		if n.isNothing() {
			return true, nil
		}
		r := &store.NoticeRecord{
			Number: keySeq(key), At: n.at, Seq: n.seq, Status: n.status, Nth: n.nth, Tries: n.tries, Errcode: n.errcode,
			Replay: n.replay, Reason: n.reason,
		}
		if n.difference != "" {
			notice, err := n.ofDifference(r.Number)
			if err != nil {
				return false, damaged(key, err)
			}
			r.Difference = notice.Difference
		}
		return true, x.use(&store.Record{Notice: r})
	})
}

func (x *exporter) secrets() error {
	return scan(x.db, []byte{tableSecrets}, func(key, value []byte) (bool, error) {
		secret, err := x.keys.OpenSecret(key, value)
		if err != nil {
			return false, fmt.Errorf("the secret %s: %w", key[1:], err)
		}
		return true, x.use(&store.Record{Secret: &store.SecretRecord{Name: string(key[1:]), Value: secret}})
	})
}

// uses are in the order of time on disk, and some are there twice: what counts is the one that is remembered longest,
// which comes last.
func (x *exporter) uses() error {
	known := map[useHash]use{}
	err := scan(x.db, []byte{tableUses}, func(key, value []byte) (bool, error) {
		if len(key) != 9+len(useHash{}) || len(value) != len(use{}.digest) {
			return false, damaged(key, codec.ErrRecord)
		}
		known[useHash(key[9:])] = use{[32]byte(value), int64(binary.BigEndian.Uint64(key[1:]))}
		return true, nil
	})
	if err != nil {
		return err
	}
	hashes := slices.SortedFunc(maps.Keys(known), func(a, b useHash) int { return bytes.Compare(a[:], b[:]) })
	for _, h := range hashes {
		u := known[h]
		if err := x.use(&store.Record{Use: &store.UseRecord{Signature: h, Digest: u.digest, Until: u.until}}); err != nil {
			return err
		}
	}
	return nil
}
