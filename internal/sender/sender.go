package sender

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// MaxParallel is how many requests may be under way at once.
const MaxParallel = 64

// Options is what a Sender is made of.
type Options struct {
	URL string // The service's address, such as http://127.0.0.1:8080.

	// Key is the source's API key. SigningKey is the key of its signing secret, for a source that has one: then
	// requests are signed, and Key must be empty. Neither appears in any error.
	Key        string
	SigningKey []byte

	Batch    int           // Events a request, at most MaxBatch. 0: 500.
	Parallel int           // Requests under way at once; events of one waybill keep their order in any case. 0: 4.
	RetryFor time.Duration // How long one batch is tried. 0: it is tried once.
	Timeout  time.Duration // Of one request. 0: 1 minute.
	// Linger is how long an event waits for others to fill its batch while the input brings nothing. 0: 200 ms.
	Linger time.Duration
	// Grace is how long requests under way may still take after an interruption. 0: 3 s.
	Grace time.Duration

	Language  string // Accept-Language, for what the service says. "": English.
	UserAgent string // "": carrier-send.

	// Transport carries the requests. nil: net/http's own, with as many idle connections as Parallel.
	Transport http.RoundTripper
	// Progress hears of every answer, and of failures while they are waited out. Calls do not overlap. May be nil.
	Progress func(Progress)
	// Refused hears of every refused event; its error ends the sending. Calls do not overlap. May be nil.
	Refused func(Refused) error
}

// Sender sends events. It may be used by several goroutines, but then nothing holds between what they send.
type Sender struct {
	o        Options
	endpoint string
	client   *http.Client
}

// New checks o and makes a Sender.
func New(o Options) (*Sender, error) {
	endpoint, err := endpointOf(o.URL)
	if err := errors.Join(err, o.check()); err != nil {
		return nil, err
	}
	o.Batch = cmp.Or(o.Batch, 500)
	o.Parallel = cmp.Or(o.Parallel, 4)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	o.Linger = cmp.Or(o.Linger, 200*time.Millisecond)
	o.Grace = cmp.Or(o.Grace, 3*time.Second)
	o.UserAgent = cmp.Or(o.UserAgent, "carrier-send")
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = o.Parallel
		o.Transport = t
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Refused == nil {
		o.Refused = func(Refused) error { return nil }
	}
	client := &http.Client{
		Transport: o.Transport,
		// A redirect would take the key to another host, and make a GET of the POST.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Sender{o: o, endpoint: endpoint, client: client}, nil
}

// endpointOf is where batches go.
func endpointOf(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("the URL must be the service's address, such as http://127.0.0.1:8080")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("the URL must hold no user, password, ? or #; the key comes from a file or the environment")
	}
	return u.JoinPath("v1", "events", "batch").String(), nil
}

func (o *Options) check() error {
	var errs []error
	if o.Batch < 0 || o.Batch > MaxBatch {
		errs = append(errs, fmt.Errorf("a batch must have 1 to %d events", MaxBatch))
	}
	if o.Parallel < 0 || o.Parallel > MaxParallel {
		errs = append(errs, fmt.Errorf("there must be 1 to %d requests in parallel", MaxParallel))
	}
	if o.RetryFor < 0 {
		errs = append(errs, errors.New("the time to retry for must not be below 0"))
	}
	switch {
	case o.Key != "" && len(o.SigningKey) > 0:
		errs = append(errs, errors.New("a source has either an API key or a signing secret; give one of them"))
	case o.Key == "" && len(o.SigningKey) == 0:
		errs = append(errs, errors.New("the source's API key or signing secret is missing"))
	case !isHeaderText(o.Key):
		errs = append(errs, errors.New("the API key must be visible ASCII characters without spaces; is it the right file?"))
	}
	return errors.Join(errs...)
}

func isHeaderText(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}
