package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Error codes of JetStream's API that the client library has no names for.
const (
	codeNoPeers        jetstream.ErrorCode = 10005
	codeNoResources    jetstream.ErrorCode = 10023
	codeNoStorage      jetstream.ErrorCode = 10047
	codeOverlap        jetstream.ErrorCode = 10065
	codeNoCluster      jetstream.ErrorCode = 10074
	codeNotUnique      jetstream.ErrorCode = 10100
	codeNeedsMaxBytes  jetstream.ErrorCode = 10113
	codeUnderResourced jetstream.ErrorCode = 10008 // No leader, or it is too busy.
)

// advice says what to do about an answer of JetStream's API.
var advice = map[jetstream.ErrorCode]string{
	jetstream.JSErrCodeJetStreamNotEnabled:           "turn JetStream on in the server's configuration (jetstream: {...})",
	jetstream.JSErrCodeJetStreamNotEnabledForAccount: "turn JetStream on for this user's account (jetstream: enabled)",
	codeNoPeers:                              "the cluster has too few servers with room for so many replicas: lower nats.replicas, or make room",
	codeNoResources:                          "the server or account has no room left for it: raise its JetStream limits",
	codeNoStorage:                            "the server or account has no storage left for it: raise its JetStream limits, or make room",
	codeNoCluster:                            "this server is no cluster: set nats.replicas to 1",
	codeNotUnique:                            "another consumer takes the same subjects from this stream, which must have one only: nats consumer ls " + eventsStream,
	codeNeedsMaxBytes:                        "this account wants a size limit on each stream: make the stream by hand with max_bytes, as carrier nats plan describes it",
	codeUnderResourced:                       "the cluster has no leader at present, or is too busy",
	jetstream.JSErrCodeMaximumConsumersLimit: "the account or stream allows no more consumers: raise the limit",
}

// explain adds to an error of NATS what to do about it, as far as that is not clear from its text.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if api, ok := errors.AsType[jetstream.JetStreamError](err); ok && api.APIError() != nil {
		if do := advice[api.APIError().ErrorCode]; do != "" {
			return fmt.Errorf("%w: %s", err, do)
		}
		return err
	}
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("JetStream does not answer (%w): it is not turned on, or the cluster has no leader at present", err)
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return fmt.Errorf("%w: check nats.creds_file, nats.nkey_file, or nats.user and nats.password", err)
	case errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("%w: check the addresses in nats.url (tls://) and nats.tls", err)
	case errors.Is(err, nats.ErrNoServers):
		return fmt.Errorf("%w: check nats.url, and that the server runs", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("no answer in time (%w): the server is too busy, or this user may not publish to $JS.API.>", err)
	}
	return err
}

// isCode tells whether JetStream answered with a code.
func isCode(err error, code jetstream.ErrorCode) bool {
	api, ok := errors.AsType[jetstream.JetStreamError](err)
	return ok && api.APIError() != nil && api.APIError().ErrorCode == code
}
