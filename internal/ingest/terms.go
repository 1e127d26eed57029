package ingest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// terms are on what events are taken: who may send, and which rules events keep. A request goes by those that were in
// force when it came. They are not changed once made.
type terms struct {
	rules   *rules
	ring    *keyring
	senders senders
}

// newTerms makes the terms that o asks for. Its error names every mistake of the operator's.
func newTerms(o Options) (*terms, error) {
	o.MaxActionMsg = cmp.Or(o.MaxActionMsg, 1024)
	o.MaxFuture = cmp.Or(o.MaxFuture, 10*time.Minute)
	ring, err := newKeyring(o.Sources, o.DeliveryIDs)
	if err := errors.Join(o.checkLimits(), err); err != nil {
		return nil, err
	}
	r, err := o.rules()
	if err != nil {
		return nil, fmt.Errorf("register validation tags: %w", err)
	}
	return &terms{rules: r, ring: ring, senders: newSenders(o.Sources, o.DeliveryIDs)}, nil
}

// Prepare checks other Sources, DeliveryIDs, MaxActionMsg, MaxFuture and MaxAge, and makes ready what they ask for; all
// else of o stays as New had it. take puts them in force for the requests and messages that come from then on. A source
// whose rate stays the same goes on with what it has used of it. Not for concurrent use with itself.
func (w *Webhook) Prepare(o Options) (take func(), err error) {
	next, err := newTerms(o)
	if err != nil {
		return nil, err
	}
	next.ring.keepLimits(w.terms.Load().ring)
	return func() { w.terms.Store(next) }, nil
}

// keepLimits takes over what sources have used of their rates.
func (k *keyring) keepLimits(before *keyring) {
	old := map[string]*source{}
	for _, s := range before.sources() {
		old[s.name] = s
	}
	for _, s := range k.sources() {
		was := old[s.name]
		if was != nil && s.limit != nil && was.limit != nil && s.limit.Limit() == was.limit.Limit() {
			s.limit = was.limit
		}
	}
}

// sources are all sources on the ring.
func (k *keyring) sources() []*source {
	return slices.AppendSeq(slices.Clone(k.signing), maps.Values(k.byKey))
}
