package sandbox

import "errors"

// CallbackFaults is what befalls WeChat's own pushes to the carriers. Each share (0 to 1) is drawn by itself, once
// for each push, drop_answer for each time that it is sent.
type CallbackFaults struct {
	// Delay is waited before a push is sent.
	Delay Duration `json:"delay"`
	// Repeats is the share of pushes that are sent again though they were answered.
	Repeats float64 `json:"repeats"`
	// ConcurrentRepeats is the share of pushes of which all three copies are sent at once.
	ConcurrentRepeats float64 `json:"concurrent_repeats"`
	// SameQuery is the share of pushes whose copies have the same timestamp, nonce, signature and bytes. The others
	// are signed and encrypted anew each time; the document does not say what upstream does.
	SameQuery float64 `json:"same_query"`
	// DropAnswer is the share of answers that get lost.
	DropAnswer float64 `json:"drop_answer"`
	// PreviousKey is the share of pushes encrypted with the previous EncodingAESKey, where the carrier has one.
	PreviousKey float64 `json:"previous_key"`
	// WrongSignature is the share of pushes that come after a forged one with another Token and a wrong signature.
	WrongSignature float64 `json:"wrong_signature"`
	// PlainInSafe is the share of pushes that come after a forged one that is not encrypted: its signature is the
	// query's, which says nothing about its body. Not in mode plain, where there is no other.
	PlainInSafe float64 `json:"plain_in_safe"`
}

func (f *CallbackFaults) validate() error {
	var errs []error
	if f.Delay < 0 {
		errs = append(errs, errors.New("callback.delay can't be negative"))
	}
	for _, sh := range []struct {
		name string
		of   float64
	}{
		{"repeats", f.Repeats}, {"concurrent_repeats", f.ConcurrentRepeats}, {"same_query", f.SameQuery},
		{"drop_answer", f.DropAnswer}, {"previous_key", f.PreviousKey}, {"wrong_signature", f.WrongSignature},
		{"plain_in_safe", f.PlainInSafe},
	} {
		errs = append(errs, validShare("callback."+sh.name, sh.of))
	}
	return errors.Join(errs...)
}

// callbackPlan is what befalls one push.
type callbackPlan struct {
	delay                                      Duration
	repeat, concurrent, sameQuery, previousKey bool
	forgeSignature, forgePlain                 bool
}

// drawCallback decides what befalls a push.
func (fs *faults) drawCallback() callbackPlan {
	if !fs.active.Load() {
		return callbackPlan{}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := &fs.set.Callback
	return callbackPlan{
		delay: f.Delay, repeat: fs.meets(f.Repeats), concurrent: fs.meets(f.ConcurrentRepeats),
		sameQuery: fs.meets(f.SameQuery), previousKey: fs.meets(f.PreviousKey),
		forgeSignature: fs.meets(f.WrongSignature), forgePlain: fs.meets(f.PlainInSafe),
	}
}

// dropsAnswer decides whether an answer gets lost.
func (fs *faults) dropsAnswer() bool {
	if !fs.active.Load() {
		return false
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.meets(fs.set.Callback.DropAnswer)
}

// meets draws one chance; none for the share 0, so that a seed's other draws stay as they are.
func (fs *faults) meets(share float64) bool { return share > 0 && fs.chance.float() < share }
