package merchant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"
)

// Keeper keeps secrets by name, durably (see store.Secrets).
type Keeper interface {
	// Secret reads one; nil if there is none.
	Secret(ctx context.Context, name string) ([]byte, error)
	PutSecret(ctx context.Context, name string, value []byte) error
}

// Vault keeps what a third-party platform must not lose: the newest component_verify_ticket, and each merchant's
// authorizer_refresh_token. It is a wechat.PlatformStore, and safe for concurrent use.
type Vault struct {
	keeper  Keeper
	appID   string
	refresh map[string]string // By the merchant's appid: the refresh_token that the configuration gives.

	mu sync.Mutex // Held while the ticket is replaced.
}

// NewVault makes the vault of the platform with a component_appid. refresh are the refresh_tokens that the merchants'
// authorisations gave, by appid. What upstream gave since is newer and counts; but once refresh has another one for a
// merchant, that has authorised anew, and the new one counts.
func NewVault(keeper Keeper, appID string, refresh map[string]string) *Vault {
	return &Vault{keeper: keeper, appID: appID, refresh: refresh}
}

// ticket is how a component_verify_ticket is kept.
type ticket struct {
	Ticket string `json:"ticket"`
	At     int64  `json:"at"` // WeChat's CreateTime, Unix seconds.
}

func (v *Vault) ticketName() string { return "platform/" + v.appID + "/component_verify_ticket" }

// refreshName is under which a merchant's refresh_token is kept. It ends with what tells the configuration's from
// another: after a new authorisation the old ones are not looked at any more, whatever has become of them.
func (v *Vault) refreshName(authorizer string) string {
	sum := sha256.Sum256([]byte(v.refresh[authorizer]))
	return "platform/" + v.appID + "/authorizer_refresh_token/" + authorizer + "/" + hex.EncodeToString(sum[:8])
}

// VerifyTicket is the newest component_verify_ticket; "" if none has come yet.
func (v *Vault) VerifyTicket(ctx context.Context) (string, error) {
	kept, err := v.ticket(ctx)
	return kept.Ticket, err
}

func (v *Vault) ticket(ctx context.Context) (kept ticket, err error) {
	value, err := v.keeper.Secret(ctx, v.ticketName())
	if err != nil || value == nil {
		return ticket{}, err
	}
	if json.Unmarshal(value, &kept) != nil { // The cause would quote it.
		return ticket{}, errors.New("the component_verify_ticket that is kept can't be read; the next one, within 10 minutes, replaces it")
	}
	return kept, nil
}

// KeepTicket keeps a ticket that WeChat made at a time (Unix seconds). An older one than the one that is kept changes
// nothing: WeChat sends again what was not answered in time.
func (v *Vault) KeepTicket(ctx context.Context, text string, at int64) error {
	if text == "" {
		return errors.New("the component_verify_ticket is empty")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	// One that can't be read any more is replaced all the same.
	if kept, err := v.ticket(ctx); err == nil && kept.At > at {
		return nil
	}
	value, err := json.Marshal(ticket{text, at})
	if err != nil {
		return err
	}
	return v.keeper.PutSecret(ctx, v.ticketName(), value)
}

// RefreshToken is a merchant's newest refresh_token; "" if it has none.
func (v *Vault) RefreshToken(ctx context.Context, authorizer string) (string, error) {
	kept, err := v.keeper.Secret(ctx, v.refreshName(authorizer))
	if err != nil || kept != nil {
		return string(kept), err
	}
	return v.refresh[authorizer], nil
}

// KeepRefreshToken keeps one that upstream gave in place of the last.
func (v *Vault) KeepRefreshToken(ctx context.Context, authorizer, refreshToken string) error {
	return v.keeper.PutSecret(ctx, v.refreshName(authorizer), []byte(refreshToken))
}
