package replay

import "carrier/internal/store"

// Verdict says what a bulk replay would do with a push, in the words of the admin API.
type Verdict string

const (
	Send             Verdict = "send"                // It goes as soon as its turn comes.
	AlreadyDelivered Verdict = "already_delivered"   // Left alone: a bulk replay never sends twice.
	WaitsForToken    Verdict = "waits_for_token"     // It becomes pending, and waits until its waybill has a Token.
	WaitsBehind      Verdict = "waits_behind"        // Sent, after an earlier push of its waybill (Item.Behind).
	Superseded       Verdict = "superseded_by_stage" // The customer was shown a later stage; sent unless SkipSuperseded.
	WaitsForThaw     Verdict = "waits_for_thaw"      // It becomes pending, and waits until its waybill is thawed.
	Pending          Verdict = "pending"             // Left alone: it is on its way already.
	Discarded        Verdict = "discarded"           // Left alone, as the filter does not ask for discarded ones.
	NoAccount        Verdict = "no_account"          // Left alone: its account is not configured any more.
)

// Verdicts lists them, those that are sent first.
func Verdicts() []Verdict {
	return []Verdict{
		Send, WaitsBehind, WaitsForToken, WaitsForThaw, Superseded, AlreadyDelivered, Pending, Discarded, NoAccount,
	}
}

// Item is a push that the filter found, and what would become of it.
type Item struct {
	Push    store.Push
	Verdict Verdict
	Behind  uint64 // WaitsBehind: the number of the push that goes first.
}
