package pebble

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	cdb "github.com/cockroachdb/pebble/v2"

	"carrier/internal/state"
	"carrier/internal/store"
)

// metaImport is there while a store is being filled by an Importer (it is no whole store then), and until it is served
// from. What it holds is filling or filled, and the instance that it comes from.
var metaImport = metaKey("import")

const (
	filling = "filling "
	filled  = "filled "
)

var errHalfImported = errors.New("carrier store migrate has not filled it to the end: run that again, or delete the folder")

// Importer fills a store in a folder; see store.Importer. It is not safe for concurrent use.
type Importer struct {
	s *Store
}

// OpenImporter opens a folder to be filled, or to be filled on, from the store whose instance is named. One that holds a
// store of its own, or that of another source, is refused.
func OpenImporter(dir, source string, o Options) (*Importer, error) {
	s := newStore(dir, o.withDefaults())
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	if err := s.beginImport(source); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", dir, err), s.release())
	}
	return &Importer{s: s}, nil
}

func (s *Store) beginImport(source string) error {
	text, err := importOf(s.db)
	_, from, _ := strings.Cut(text, " ")
	switch {
	case err != nil:
		return err
	case from == "" && !fresh(s.db):
		return errors.New("it holds a store already: migrate into an empty folder")
	case from != "" && from != source:
		return fmt.Errorf("it was filled from another store (%s, not %s): migrate into an empty folder", from, source)
	}
	return s.db.Set(metaImport, []byte(filling+source), cdb.Sync)
}

// beginServing notes that what is here from now on is this store's own: it can't be filled on any more.
func (s *Store) beginServing() error {
	if err := refuseHalfImported(s.db); err != nil {
		return err
	}
	if text, err := importOf(s.db); text == "" || err != nil {
		return err
	}
	return s.db.Delete(metaImport, cdb.Sync)
}

func refuseHalfImported(db cdb.Reader) error {
	text, err := importOf(db)
	if err == nil && text != "" && !strings.HasPrefix(text, filled) {
		err = errHalfImported
	}
	return err
}

// importOf is what metaImport holds; "" if it is not there.
func importOf(db cdb.Reader) (text string, err error) {
	_, err = read(db, metaImport, func(v []byte) error {
		text = string(v)
		return nil
	})
	return text, err
}

// Export calls use with every record that was imported.
func (i *Importer) Export(ctx context.Context, use func(*store.Record) error) error {
	return i.s.view(func(db cdb.Reader) error {
		x := newExporter(ctx, db, i.s.keys, use)
		x.filling = true
		return x.all()
	})
}

// Size is what the folder's files take, in bytes.
func (i *Importer) Size(context.Context) (uint64, error) {
	return i.s.db.Metrics().DiskSpaceUsage(), nil
}

// Close closes the folder.
func (i *Importer) Close() error { return i.s.release() }

// Import keeps records in place of those with the same key, and forgets those with the keys in gone.
func (i *Importer) Import(ctx context.Context, records []*store.Record, gone []string) (err error) {
	i.s.disk.look()
	if err := i.s.disk.refusal(); err != nil {
		return err
	}
	w := importing{s: i.s, b: i.s.db.NewBatch(), x: &exporter{ctx: ctx, db: i.s.db, keys: i.s.keys, filling: true}}
	defer func() { err = errors.Join(err, w.b.Close()) }()
	// What was there is deleted before anything is written: an event id may have gone from one waybill to another.
	for _, key := range gone {
		w.forget(key)
	}
	for _, r := range records {
		w.forget(r.Key())
	}
	for _, r := range records {
		w.keep(r)
	}
	if w.err != nil {
		return w.err
	}
	return w.b.Commit(cdb.Sync)
}

// importing is one batch of an import.
type importing struct {
	s   *Store
	b   *cdb.Batch
	x   *exporter
	err error
}

func (w *importing) must(err error)        { w.err = errors.Join(w.err, err) }
func (w *importing) set(key, value []byte) { w.must(w.b.Set(key, value, nil)) }
func (w *importing) del(key []byte)        { w.must(w.b.Delete(key, nil)) }

func (w *importing) setJSON(key []byte, v any) {
	value, err := encodeJSON(v)
	w.must(err)
	w.set(key, value)
}

// keep writes a record of which nothing is there.
func (w *importing) keep(r *store.Record) {
	switch {
	case r.Account != nil:
		w.set(append([]byte{tableAccounts}, r.Account.DeliveryID...), encodeAccount(nil, &r.Account.Account))
	case r.Act != nil:
		w.setJSON(seqKey(nil, tableAudit, r.Act.Number), r.Act)
	case r.Letter != nil:
		w.setJSON(letterKey(r.Letter.Number), r.Letter)
	case r.Marks != nil:
		w.marks(r.Marks)
	case r.Notice != nil:
		w.notice(r.Notice)
	case r.Replay != nil:
		w.setJSON(seqKey(nil, tableReplays, r.Replay.ID), r.Replay)
	case r.Secret != nil:
		key := secretKey(r.Secret.Name)
		w.set(key, w.s.keys.SealSecret(key, r.Secret.Value))
	case r.Use != nil:
		w.set(useKey(nil, r.Use.Until, r.Use.Signature), r.Use.Digest[:])
	case r.Waybill != nil:
		w.waybill(r.Waybill)
	}
}

func (w *importing) notice(n *store.NoticeRecord) {
	rec := &noticeRecord{
		at: n.At, seq: n.Seq, status: n.Status, nth: n.Nth, tries: n.Tries, errcode: n.Errcode, replay: n.Replay, reason: n.Reason,
	}
	if n.Difference != nil {
		text, err := json.Marshal(n.Difference)
		w.must(err)
		rec.difference = string(text)
	}
	w.set(noticeKey(n.Number), encodeNotice(nil, rec))
}

func (w *importing) marks(m *store.Marks) {
	number := func(key []byte, n uint64) { w.set(key, binary.BigEndian.AppendUint64(nil, n)) }
	number(metaNext, m.Next)
	number(metaClock, uint64(m.Clock))
	number(metaTold, m.Told)
	number(metaLetters, m.Letters) // Until Finish knows which are there.
	number(counterKey(nil, "pruned"), uint64(m.Pruned))
	for verdict, n := range m.Events {
		var v state.Verdict
		w.must(v.UnmarshalText([]byte(verdict)))
		number(counterKey(nil, "e/"+v.String()), uint64(n))
	}
}

// forget deletes a record, if it is there.
func (w *importing) forget(key string) {
	kind, name, _ := strings.Cut(key, "/")
	number := func() uint64 {
		var n uint64
		_, err := fmt.Sscanf(name, "%x", &n)
		w.must(err)
		return n
	}
	switch kind {
	case "account":
		w.del(append([]byte{tableAccounts}, name...))
	case "act":
		w.del(seqKey(nil, tableAudit, number()))
	case "letter":
		w.del(letterKey(number()))
	case "notice":
		w.del(noticeKey(number()))
	case "replay":
		w.del(seqKey(nil, tableReplays, number()))
	case "secret":
		w.del(secretKey(name))
	case "use":
		w.forgetUse(name)
	case "waybill":
		w.forgetWaybill(name)
	}
}

// forgetUse deletes all rows of a signature.
func (w *importing) forgetUse(signature string) {
	w.must(scan(w.s.db, []byte{tableUses}, func(key, _ []byte) (bool, error) {
		if len(key) == 9+len(useHash{}) && fmt.Sprintf("%x", key[9:]) == signature {
			w.del(slices.Clone(key))
		}
		return true, nil
	}))
}
