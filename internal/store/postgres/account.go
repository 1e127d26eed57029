package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"carrier/internal/store"
	"carrier/internal/store/codec"
	"carrier/internal/store/engine"
)

// accountState is a store.Account in the column state of accounts. Moments are Unix milliseconds.
type accountState struct {
	Paused   bool        `json:"paused,omitempty"`
	ByHand   bool        `json:"by_hand,omitempty"`
	Guarded  bool        `json:"guarded,omitempty"`
	Reason   string      `json:"reason,omitempty"`
	ReasonZh string      `json:"reason_zh,omitempty"`
	Since    int64       `json:"since,omitempty"`
	Until    int64       `json:"until,omitempty"`
	Errcode  int         `json:"errcode,omitempty"`
	ForcedAt []int64     `json:"forced_at,omitempty"`
	Quota    *quotaState `json:"quota,omitempty"`
}

type quotaState struct {
	Day     int64 `json:"day,omitempty"`
	Used    int64 `json:"used,omitempty"`
	Limit   int64 `json:"limit,omitempty"`
	AskedAt int64 `json:"asked_at,omitempty"`
	Waived  bool  `json:"waived,omitempty"`
}

// Account reads what outlives a restart of an account.
func (s *Store) Account(ctx context.Context, deliveryID string) (a store.Account, err error) {
	if err := s.isOpen(); err != nil {
		return a, err
	}
	var state []byte
	var version uint64
	err = s.pool.QueryRow(ctx, "SELECT state::text, version FROM accounts WHERE delivery_id = $1", deliveryID).
		Scan(&state, (*numberDest)(&version))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return a, nil
	case err != nil:
		return a, s.readError(err)
	}
	if a, err = decodeAccount(state); err != nil {
		err = damaged("account "+deliveryID, err)
	}
	a.Version = version
	return a, err
}

// PutAccount keeps it, and lets the other nodes know.
func (s *Store) PutAccount(ctx context.Context, deliveryID string, a store.Account) error {
	op := &accountOp{delivery: deliveryID, state: encodeAccount(&a), version: int64(a.Version)}
	if err := s.write(ctx, 0, op, &op.Waiter); err != nil {
		return fmt.Errorf("keep the state of account %s: %w", deliveryID, err)
	}
	return nil
}

type accountOp struct {
	engine.Waiter
	delivery, state string
	version         int64
}

func (o *accountOp) rows() int    { return 1 }
func (o *accountOp) needs(*needs) {}

func (o *accountOp) run(x *tx) {
	var batch pgx.Batch
	if o.version == 0 {
		batch.Queue("INSERT INTO accounts (delivery_id, version, state) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING", o.delivery, o.state)
	} else {
		batch.Queue("UPDATE accounts SET version = version + 1, state = $2 WHERE delivery_id = $1 AND version = $3",
			o.delivery, o.state, o.version)
	}
	o.Err = nil
	batch.QueuedQueries[0].Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() == 0 {
			o.Err = store.ErrChanged
		}
		return nil
	})
	if x.run(&batch) == nil && o.Err == nil {
		x.accounts = append(x.accounts, o.delivery)
	}
}

func encodeAccount(a *store.Account) string {
	state := accountState{
		Paused: a.Paused, ByHand: a.ByHand, Guarded: a.Guarded, Reason: text(a.Reason), ReasonZh: text(a.ReasonZh), Since: codec.Millis(a.Since), Until: codec.Millis(a.Until),
		Errcode: a.Errcode, ForcedAt: gather(a.ForcedAt, codec.Millis),
	}
	if q := a.Quota; q != (store.Quota{}) {
		state.Quota = &quotaState{codec.Millis(q.Day), q.Used, q.Limit, codec.Millis(q.AskedAt), q.Waived}
	}
	b, _ := json.Marshal(state) // Nothing in it can fail.
	return string(b)
}

func decodeAccount(value []byte) (a store.Account, err error) {
	var state accountState
	if err := json.Unmarshal(value, &state); err != nil {
		return a, err
	}
	a = store.Account{
		Paused: state.Paused, ByHand: state.ByHand, Guarded: state.Guarded, Reason: state.Reason, ReasonZh: state.ReasonZh, Since: codec.FromMillis(state.Since),
		Until: codec.FromMillis(state.Until), Errcode: state.Errcode,
	}
	if len(state.ForcedAt) > 0 {
		a.ForcedAt = gather[int64, time.Time](state.ForcedAt, codec.FromMillis)
	}
	if q := state.Quota; q != nil {
		a.Quota = store.Quota{Day: codec.FromMillis(q.Day), Used: q.Used, Limit: q.Limit, AskedAt: codec.FromMillis(q.AskedAt), Waived: q.Waived}
	}
	return a, nil
}
