package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"carrier/internal/state"
)

// Record is a part of what a store keeps, as every engine can give it away and take it in: what `carrier store migrate`
// carries from one to another. All of a waybill is one record. Exactly one member is set. Times are Unix milliseconds; 0
// is none. It holds secrets (Tokens): it is neither logged nor written anywhere but into a store.
type Record struct {
	Account *AccountRecord `json:"account,omitempty"`
	Act     *AuditEntry    `json:"act,omitempty"`
	Letter  *DeadLetter    `json:"letter,omitempty"`
	Marks   *Marks         `json:"marks,omitempty"`
	Notice  *NoticeRecord  `json:"notice,omitempty"`
	Replay  *Replay        `json:"replay,omitempty"`
	Secret  *SecretRecord  `json:"secret,omitempty"`
	Use     *UseRecord     `json:"use,omitempty"`
	Waybill *WaybillRecord `json:"waybill,omitempty"`
}

// Marks is what a store counts beside its rows. There is one record of it.
type Marks struct {
	Next    uint64           `json:"next"`    // No event or order has this number or a higher one.
	Clock   int64            `json:"clock"`   // Nothing that is kept happened after this.
	Told    uint64           `json:"told"`    // No notice that waits has this number or a lower one.
	Events  map[string]int64 `json:"events"`  // By first verdict, since the store was made.
	Pruned  int64            `json:"pruned"`  // Events that retention deleted.
	Audits  uint64           `json:"audits"`  // The highest number given to an act, to a replay, and to a dead letter.
	Replays uint64           `json:"replays"` //
	Letters uint64           `json:"letters"` //
}

// Kept is how many events there are.
func (m *Marks) Kept() int {
	n := -m.Pruned
	for _, count := range m.Events {
		n += count
	}
	return int(n)
}

// AccountRecord is an account by its id.
type AccountRecord struct {
	DeliveryID string `json:"delivery_id"`
	Account
}

// SecretRecord is a secret by its name, unsealed.
type SecretRecord struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

// UseRecord is a signed request that came before; see Orders.FirstUse.
type UseRecord struct {
	Signature [16]byte `json:"signature"` // The first half of its SHA-256.
	Digest    [32]byte `json:"digest"`
	Until     int64    `json:"until"`
}

// NoticeRecord is a notice that waits to be told. With Difference, nothing else but Number and At is set.
type NoticeRecord struct {
	Number     uint64      `json:"number"`
	At         int64       `json:"at"`
	Difference *Difference `json:"difference,omitempty"`

	Seq     uint64 `json:"seq"`
	Status  Status `json:"status"`
	Nth     int    `json:"nth"`
	Tries   int    `json:"tries"`
	Errcode int    `json:"errcode"`
	Replay  uint64 `json:"replay"`
	Reason  string `json:"reason"`
}

// WaybillRecord is all that is kept of a waybill.
type WaybillRecord struct {
	DeliveryID string        `json:"delivery_id"`
	WaybillID  string        `json:"waybill_id"`
	Parked     bool          `json:"parked"`
	ParkedAt   int64         `json:"parked_at"`
	Frozen     *Hold         `json:"frozen,omitempty"`
	Tokens     []TokenRecord `json:"tokens,omitempty"` // The newest first, unsealed.
	Orders     []OrderRecord `json:"orders,omitempty"` // The oldest first.
	Shown      *Shown        `json:"shown,omitempty"`
	ExpungedAt int64         `json:"expunged_at"`
	Difference *Difference   `json:"difference,omitempty"`
	Events     []EventRecord `json:"events,omitempty"` // By number.
}

// Waybill is its name.
func (r *WaybillRecord) Waybill() state.Waybill {
	return state.Waybill{DeliveryID: r.DeliveryID, WaybillID: r.WaybillID}
}

// TokenRecord is a waybill's Token and when it came.
type TokenRecord struct {
	At    int64  `json:"at"`
	Value string `json:"value"`
}

// OrderRecord is an order with its number, which is of the events' sequence.
type OrderRecord struct {
	Number uint64 `json:"number"`
	Order
}

// EventRecord is an event, what was decided when it came, what stands now, and its push.
type EventRecord struct {
	Seq        uint64        `json:"seq"`
	Event      state.Event   `json:"event"` // Without its Token; without its text, if that was expunged.
	Content    [16]byte      `json:"content"`
	ReceivedAt int64         `json:"received_at"`
	Expunged   bool          `json:"expunged"`
	First      state.Verdict `json:"first"`
	Reason     state.Reason  `json:"reason"` // Of First, as are the next two.
	Late       bool          `json:"late"`
	Gap        bool          `json:"gap"`
	Why        *WhyRecord    `json:"why,omitempty"`
	Now        state.Entry   `json:"now"`
	Push       *PushRecord   `json:"push,omitempty"` // nil: it has none.
}

// WhyRecord is why an event was rejected or ignored; see Event.
type WhyRecord struct {
	From    state.Stage        `json:"from"`
	Cause   uint64             `json:"cause"`
	Allowed []state.ActionType `json:"allowed"`
}

// Key names a record within its store, and orders records: by what they are, and then by name or number.
func (r *Record) Key() string {
	switch {
	case r.Account != nil:
		return "account/" + r.Account.DeliveryID
	case r.Act != nil:
		return numberKey("act", r.Act.Number)
	case r.Letter != nil:
		return numberKey("letter", r.Letter.Number)
	case r.Marks != nil:
		return "marks"
	case r.Notice != nil:
		return numberKey("notice", r.Notice.Number)
	case r.Replay != nil:
		return numberKey("replay", r.Replay.ID)
	case r.Secret != nil:
		return "secret/" + r.Secret.Name
	case r.Use != nil:
		return fmt.Sprintf("use/%x", r.Use.Signature)
	case r.Waybill != nil:
		return WaybillKey(r.Waybill.Waybill())
	}
	return ""
}

// WaybillKey is Record.Key of a waybill.
func WaybillKey(w state.Waybill) string { return "waybill/" + w.DeliveryID + "\x00" + w.WaybillID }

func numberKey(kind string, n uint64) string { return fmt.Sprintf("%s/%016x", kind, n) }

// Digest tells apart records with the same key: two have the same if all that is in them is the same. It makes the record
// normal: its times are in UTC and in whole milliseconds, and its slices nil where there is nothing in them.
func (r *Record) Digest() ([sha256.Size]byte, error) {
	normalize(reflect.ValueOf(r))
	text, err := json.Marshal(r)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("%s can't be written as JSON: %w", r.Key(), err)
	}
	// PostgreSQL's texts hold no zero bytes: a space stands for one. Those of events may, and have a hash of their own.
	return sha256.Sum256(bytes.ReplaceAll(text, []byte(`\u0000`), []byte(" "))), nil
}

// normalize makes what a pointer leads to normal; see Digest.
func normalize(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			normalize(v.Elem())
		}
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			if !t.IsZero() { // The zero time is one, whatever its zone.
				v.Set(reflect.ValueOf(t.UTC().Truncate(time.Millisecond)))
			}
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				normalize(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.Len() == 0 {
			v.SetZero()
		}
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				normalize(v.Index(i))
			}
		}
	}
}

// Exporter gives away all that a store keeps.
type Exporter interface {
	// Export calls use with every record, in the order of their keys, in one consistent state of the store. use may keep
	// the record. What can't be read is an error: a migration leaves nothing out.
	Export(ctx context.Context, use func(*Record) error) error
}

// Source is a store that is to be moved. A process may serve from it while it is read, if the engine is for several.
type Source interface {
	Exporter
	// Instance is the store's own name, which no other has.
	Instance() string
	// Serving names who serves from it; empty: nobody does, and the store can be moved as a whole.
	Serving(ctx context.Context) ([]string, error)
	// Size is about what it takes of a disk, in bytes.
	Size(ctx context.Context) (uint64, error)
	// Moved notes where all of it has gone, in words that hold no secret; nobody can serve from it any more. It
	// fails with ErrInUse while somebody does, and if anything was written since Export read last.
	Moved(ctx context.Context, to string) error
	// Close lets go of it.
	Close() error
}

// Importer fills a store that nobody serves from. It is opened for that alone: until Finish, it can't be opened
// otherwise. Import and Finish may be repeated, also after a crash.
type Importer interface {
	Exporter
	// Import keeps records in place of those with the same key, and forgets those with the keys in gone; one commit.
	Import(ctx context.Context, records []*Record, gone []string) error
	// Finish makes the store one that can be served from.
	Finish(ctx context.Context) error
	// Close lets go of it, finished or not.
	Close() error
}
