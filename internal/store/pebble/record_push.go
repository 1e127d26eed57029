package pebble

import (
	"encoding/binary"
	"time"

	"carrier/internal/store"
	"carrier/internal/store/codec"
)

const pushVersion = 1

// Flags of a push.
const (
	pushQueued   byte = 1 << 0 // Has a row in q.
	pushNoToken  byte = 1 << 1 // Has a row in t.
	pushVerified byte = 1 << 2 // Upstream was seen to show it.
	pushOpened   byte = 1 << 4 // Became pending at another time than its event came.
	pushReplayed byte = 1 << 5 // Became pending by a replay the last time.
	pushBulk     byte = 1 << 6 // By one of many pushes.
	pushEnds     byte = 1 << 7 // Its event did not end as often as the status alone says.
)

// Flags of an attempt.
const (
	attemptCode     byte = 1 << 2 // Has an errcode.
	attemptBlind    byte = 1 << 3 // The request was sent and no answer came.
	attemptReplayed byte = 1 << 4 // Comes of a replay.
	attemptHow      byte = 1 << 5 // Says how it was sent.
)

// Flags of how an attempt was sent, above the breaker's state.
const (
	howBreaker     byte = 1<<2 - 1
	howFallback    byte = 1 << 2 // To another host than the main one.
	howAccessToken byte = 1 << 3 // With an access_token.
	howToken       byte = 1 << 4 // With a Token.
)

// pushRecord is a row of r. With TokenUntil it has a row in t, too.
type pushRecord struct {
	store.PushRecord
	queued bool // It has a row in q.
}

// untriedPush stands for a row that is absent: the push is pending, and nothing has become of it yet.
func untriedPush(ord uint64) pushRecord {
	return pushRecord{PushRecord: store.PushRecord{Status: store.Pending, Ord: ord}}
}

// fill copies the record into a push.
func (r *pushRecord) fill(p *store.Push) {
	p.Status, p.Ord = r.Status, r.Ord
	p.Tries, p.Refusals, p.Used = r.Tries, r.Refusals, r.Used
	p.NextAt, p.DoneAt = codec.FromMillis(r.NextAt), codec.FromMillis(r.DoneAt)
	p.Reason, p.Attempts = r.Reason, r.Attempts
	p.Replay, p.Bulk = r.Replay, r.Bulk
	if r.OpenedAt != 0 {
		p.OpenedAt = codec.FromMillis(r.OpenedAt)
	}
	p.VerifiedAt = codec.FromMillis(r.VerifiedAt)
}

// encodePush appends a row of r.
func encodePush(b []byte, r *pushRecord) []byte {
	var flags byte
	if r.queued {
		flags |= pushQueued
	}
	if r.TokenUntil != 0 {
		flags |= pushNoToken
	}
	if r.VerifiedAt != 0 {
		flags |= pushVerified
	}
	if r.OpenedAt != 0 {
		flags |= pushOpened
	}
	if r.Replay != 0 {
		flags |= pushReplayed
	}
	if r.Bulk {
		flags |= pushBulk
	}
	if r.Ends != endsSaid(r.Status) {
		flags |= pushEnds
	}
	b = append(b, pushVersion, byte(r.Status), flags)
	if r.TokenUntil != 0 {
		b = binary.AppendVarint(b, r.TokenUntil)
	}
	b = binary.AppendUvarint(b, r.Ord)
	if r.OpenedAt != 0 {
		b = binary.AppendVarint(b, r.OpenedAt)
	}
	if r.Replay != 0 {
		b = binary.AppendUvarint(b, r.Replay)
	}
	if flags&pushEnds != 0 {
		b = binary.AppendUvarint(b, uint64(r.Ends))
	}
	if r.VerifiedAt != 0 {
		b = binary.AppendVarint(b, r.VerifiedAt)
	}
	b = binary.AppendUvarint(b, uint64(r.Tries))
	b = binary.AppendUvarint(b, uint64(r.Refusals))
	b = binary.AppendVarint(b, int64(r.Used))
	b = binary.AppendVarint(b, r.NextAt)
	b = binary.AppendVarint(b, r.DoneAt)
	b = codec.AppendString(b, r.Reason)
	b = binary.AppendUvarint(b, uint64(len(r.Attempts)))
	for i := range r.Attempts {
		b = encodeAttempt(b, &r.Attempts[i])
	}
	return b
}

func encodeAttempt(b []byte, a *store.Attempt) []byte {
	var flags byte
	if a.Errcode != nil {
		flags |= attemptCode
	}
	if a.Unknown {
		flags |= attemptBlind
	}
	if a.Replay != 0 {
		flags |= attemptReplayed
	}
	how := howOf(a)
	if how != 0 {
		flags |= attemptHow
	}
	b = append(b, flags)
	b = codec.AppendTime(b, a.At)
	b = binary.AppendVarint(b, int64(a.Duration))
	if a.Errcode != nil {
		b = binary.AppendVarint(b, int64(*a.Errcode))
	}
	b = codec.AppendString(b, a.Errmsg)
	b = codec.AppendString(b, a.RID)
	b = codec.AppendString(b, a.Scope)
	if a.Replay != 0 {
		b = binary.AppendUvarint(b, a.Replay)
	}
	if how != 0 {
		b = encodeHow(b, how, a)
	}
	return b
}

// howOf is what there is to say of how an attempt was sent; 0 if nothing is known of it.
func howOf(a *store.Attempt) byte {
	how := byte(a.Breaker) & howBreaker
	if a.Fallback != "" {
		how |= howFallback
	}
	if !a.AccessTokenAt.IsZero() {
		how |= howAccessToken
	}
	if !a.TokenAt.IsZero() {
		how |= howToken
	}
	return how
}

// encodeHow appends how an attempt was sent. Times are told by how long ago they were, which is short.
func encodeHow(b []byte, how byte, a *store.Attempt) []byte {
	b = append(b, how)
	if how&howFallback != 0 {
		b = codec.AppendString(b, a.Fallback)
	}
	if how&howAccessToken != 0 {
		b = binary.AppendVarint(b, codec.Millis(a.At)-codec.Millis(a.AccessTokenAt))
	}
	if how&howToken != 0 {
		b = binary.AppendVarint(b, codec.Millis(a.At)-codec.Millis(a.TokenAt))
	}
	return b
}

// decodePush reads a row of r.
func decodePush(value []byte) (pushRecord, error) {
	r := codec.Open(value, pushVersion)
	rec := pushRecord{PushRecord: store.PushRecord{Status: store.Status(r.Byte())}}
	flags := r.Byte()
	rec.queued = flags&pushQueued != 0
	if flags&pushNoToken != 0 {
		rec.TokenUntil = r.Int()
	}
	rec.Ord = r.Uint()
	if flags&pushOpened != 0 {
		rec.OpenedAt = r.Int()
	}
	if flags&pushReplayed != 0 {
		rec.Replay = r.Uint()
	}
	rec.Bulk = flags&pushBulk != 0
	if rec.Ends = endsSaid(rec.Status); flags&pushEnds != 0 {
		rec.Ends = int(r.Uint())
	}
	if flags&pushVerified != 0 {
		rec.VerifiedAt = r.Int()
	}
	rec.Tries, rec.Refusals = int(r.Uint()), int(r.Uint())
	rec.Used = time.Duration(r.Int())
	rec.NextAt, rec.DoneAt = r.Int(), r.Int()
	rec.Reason = r.Text()
	if n := r.Count(store.MaxAttempts); n > 0 {
		rec.Attempts = make([]store.Attempt, n)
	}
	for i := range rec.Attempts {
		decodeAttempt(&r, &rec.Attempts[i])
	}
	return rec, r.End()
}

func decodeAttempt(r *codec.Reader, a *store.Attempt) {
	flags := r.Byte()
	a.At, a.Duration = r.Time(), time.Duration(r.Int())
	if flags&attemptCode != 0 {
		a.Errcode = new(int(r.Int()))
	}
	a.Unknown = flags&attemptBlind != 0
	a.Errmsg, a.RID, a.Scope = r.Text(), r.Text(), r.Text()
	if flags&attemptReplayed != 0 {
		a.Replay = r.Uint()
	}
	if flags&attemptHow != 0 {
		decodeHow(r, a)
	}
}

func decodeHow(r *codec.Reader, a *store.Attempt) {
	how := r.Byte()
	a.Breaker = store.Breaker(how & howBreaker)
	if how&howFallback != 0 {
		a.Fallback = r.Text()
	}
	if how&howAccessToken != 0 {
		a.AccessTokenAt = codec.FromMillis(codec.Millis(a.At) - r.Int())
	}
	if how&howToken != 0 {
		a.TokenAt = codec.FromMillis(codec.Millis(a.At) - r.Int())
	}
}

// endsSaid is how often the event of a push ended, if nothing else is said: so it is for nearly all. Before format 4
// nothing else was said of any.
func endsSaid(s store.Status) int {
	switch s {
	case store.Delivered, store.Failed, store.Discarded:
		return 1
	}
	return 0
}

// pushState reads only what tells whether a push is open, and where it is listed: what scans need of a row of r.
func pushState(value []byte) (status store.Status, queued, noToken bool, err error) {
	if len(value) < 3 || value[0] != pushVersion {
		return 0, false, false, codec.ErrRecord
	}
	return store.Status(value[1]), value[2]&pushQueued != 0, value[2]&pushNoToken != 0, nil
}
