package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"carrier/internal/bus"
	"carrier/internal/ingest"
	"carrier/internal/sender"
)

type sendCommand struct {
	File string `arg:"" help:"NDJSON (an event a line) or CSV (the first line names the fields); - is standard input."`

	URL               string `name:"url" placeholder:"URL" help:"The service's address for events; default http://127.0.0.1:8080."`
	KeyFile           string `placeholder:"FILE" help:"Holds the source's API key; default CARRIER_API_KEY."`
	SigningSecretFile string `placeholder:"FILE" help:"Holds the source's signing secret (whsec_...), to sign instead; default CARRIER_SIGNING_SECRET."`
	NATS              string `name:"nats" placeholder:"URL" help:"Send over NATS instead; default CARRIER_NATS_URL, else nats.url of -c FILE, unless --url is given."`
	NATSCreds         string `name:"nats-creds" placeholder:"FILE" help:"NATS credentials file; default CARRIER_NATS_CREDS, else as nats in -c FILE says."`
	Config            string `name:"config" short:"c" placeholder:"FILE" help:"Take the connection to NATS from this configuration."`
	Source            string `placeholder:"NAME" help:"The source's name. Over NATS it is required, as part of the subject; over HTTP the key decides who sends, and this is only checked for its form."`

	Format    string        `default:"auto" enum:"auto,ndjson,csv" help:"ndjson, csv, or auto: by the extension, else by what the input begins with (${default})."`
	Batch     int           `default:"500" help:"Events a request, 1 to 1000 (${default})."`
	Parallel  int           `default:"4" help:"Requests under way at once, 1 to 64 (${default}). Events of one waybill keep their order; with 1, those of the whole file do."`
	RetryFor  time.Duration `default:"5m" help:"How long a batch is tried while the service is busy or away; 0s: once (${default})."`
	FromLine  int           `default:"1" placeholder:"N" help:"Skip the events that begin before this line: go on where a sending was interrupted."`
	DryRun    bool          `help:"Check the file's form only; nothing is sent, and no key is needed."`
	RefusedTo string        `placeholder:"FILE" help:"Write all refused events there, as NDJSON with their line numbers."`
	JSON      bool          `name:"json" help:"Print the summary as JSON."`
	Quiet     bool          `short:"q" help:"Nothing on standard error but errors."`
}

func (s *sendCommand) Run(ctx context.Context, w *world) (err error) {
	o, over, err := s.options(w)
	if err != nil {
		return usageError{err}
	}
	in, err := s.open(w)
	if err != nil {
		return usageError{err}
	}
	defer in.close()
	refused, err := s.refusals(in)
	if err != nil {
		return usageError{err}
	}
	if refused != nil {
		defer func() { err = errors.Join(err, refused.Close()) }()
		o.Refused = jsonLines(refused)
	}
	if over != nil {
		if o.NATS, err = bus.Connect(ctx, *over); err != nil {
			return err
		}
		defer o.NATS.Close()
	}
	show, clear := s.progress(w, in)
	o.Progress = show
	summary, err := s.transmit(ctx, o, in)
	clear()
	if summary == nil {
		return err
	}
	summary.File = in.name
	return errors.Join(s.print(w, summary), outcome(ctx, summary, err))
}

// transmit sends the input, or checks it. Without a Summary nothing was read.
func (s *sendCommand) transmit(ctx context.Context, o sender.Options, in *input) (*sender.Summary, error) {
	var to *sender.Sender
	if !s.DryRun {
		var err error
		if to, err = sender.New(o); err != nil {
			return nil, usageError{err}
		}
	}
	src, err := sender.NewReader(ctx, in.r, in.name, sender.Format(s.Format))
	if err != nil {
		return nil, err
	}
	src.From(s.FromLine)
	if s.DryRun {
		return sender.Check(ctx, src, o)
	}
	return to.Send(ctx, src)
}

// sourceName is how the configuration wants sources named.
var sourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// options checks the flags and reads the credentials. over is the connection to make first, if it goes over NATS.
func (s *sendCommand) options(w *world) (o sender.Options, over *bus.Options, err error) {
	if err := s.check(); err != nil {
		return o, nil, err
	}
	o = sender.Options{
		Batch: s.Batch, Parallel: s.Parallel, RetryFor: s.RetryFor, Language: language(w), UserAgent: "carrier-send/" + version().Version,
	}
	if s.DryRun {
		return o, nil, nil
	}
	if over, err = s.overNATS(w); over != nil || err != nil {
		o.Source = s.Source
		return o, over, err
	}
	o.URL = cmp.Or(s.URL, "http://127.0.0.1:8080")
	o.Key, o.SigningKey, err = s.credentials(w)
	return o, nil, err
}

// check checks what one flag alone can have wrong.
func (s *sendCommand) check() error {
	switch {
	case s.Batch < 1 || s.Batch > sender.MaxBatch:
		return fmt.Errorf("--batch must be 1 to %d", sender.MaxBatch)
	case s.Parallel < 1 || s.Parallel > sender.MaxParallel:
		return fmt.Errorf("--parallel must be 1 to %d", sender.MaxParallel)
	case s.RetryFor < 0:
		return errors.New("--retry-for must not be below 0s")
	case s.FromLine < 1:
		return errors.New("--from-line must be 1 or above")
	case s.Source != "" && !sourceName.MatchString(s.Source):
		return errors.New("--source must be 1 to 64 letters, digits, - and _, beginning with a letter or digit")
	}
	return nil
}

// credentials are the API key or the signing key: a flag's before the environment's, and of the environment's the
// signing secret, since a source that has one is not let in by its key.
func (s *sendCommand) credentials(w *world) (key string, signing []byte, err error) {
	if s.KeyFile != "" && s.SigningSecretFile != "" {
		return "", nil, errors.New("give --key-file or --signing-secret-file, not both: a source has one or the other")
	}
	secret := w.getenv("CARRIER_SIGNING_SECRET")
	switch {
	case s.KeyFile != "":
		key, err = credentialFile("--key-file", s.KeyFile)
		return key, nil, err
	case s.SigningSecretFile != "":
		if secret, err = credentialFile("--signing-secret-file", s.SigningSecretFile); err != nil {
			return "", nil, err
		}
	case secret == "":
		if key = w.getenv("CARRIER_API_KEY"); key == "" {
			err = errors.New("no key; put the source's API key into CARRIER_API_KEY or a file (--key-file), or its signing secret into CARRIER_SIGNING_SECRET")
		}
		return key, nil, err
	}
	signing, err = ingest.ParseSigningSecret(secret)
	if err != nil {
		err = fmt.Errorf("%s: %w", cmp.Or(s.SigningSecretFile, "CARRIER_SIGNING_SECRET"), err)
	}
	return "", signing, err
}

// credentialFile reads a file that holds a secret and nothing else.
func credentialFile(flag, path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	secret := strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
	if secret == "" {
		return "", fmt.Errorf("%s: %s is empty; write the secret into it", flag, path)
	}
	return secret, nil
}

// language is what the service is asked to explain its refusals in: the terminal's.
func language(w *world) string {
	locale := cmp.Or(w.getenv("LC_ALL"), w.getenv("LC_MESSAGES"), w.getenv("LANG"))
	if strings.HasPrefix(locale, "zh") {
		return "zh"
	}
	return ""
}

// input is what is sent.
type input struct {
	r    io.Reader
	name string
	size int64    // -1: not known.
	file *os.File // nil for standard input.
}

func (s *sendCommand) open(w *world) (*input, error) {
	if s.File == "-" {
		return &input{r: w.stdin, name: "standard input", size: -1}, nil
	}
	f, err := os.Open(s.File)
	if err != nil {
		return nil, fmt.Errorf("%w; name the file with the events, or - for standard input", err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder; name a file", s.File)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	in := &input{r: f, name: s.File, size: -1, file: f}
	if info.Mode().IsRegular() {
		in.size = info.Size()
	}
	return in, nil
}

// close ends the reading. The file was only read, so an error means nothing.
func (i *input) close() {
	if i.file != nil {
		_ = i.file.Close()
	}
}

// refusals makes the file for refused events; nil without --refused-to. Their texts may hold personal data, so that
// only its owner may read it.
func (s *sendCommand) refusals(in *input) (*os.File, error) {
	if s.RefusedTo == "" {
		return nil, nil
	}
	if there, err := os.Stat(s.RefusedTo); err == nil && in.file != nil {
		if info, err := in.file.Stat(); err == nil && os.SameFile(there, info) {
			return nil, errors.New("--refused-to is the file that is sent; name another one")
		}
	}
	f, err := os.OpenFile(s.RefusedTo, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--refused-to: %w", err)
	}
	return f, nil
}

func jsonLines(w io.Writer) func(sender.Refused) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return func(r sender.Refused) error {
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("--refused-to: %w", err)
		}
		return nil
	}
}

// progress is how far things are, on standard error: a bar on a terminal, else only what is being waited for.
func (s *sendCommand) progress(w *world, in *input) (show func(sender.Progress), clear func()) {
	switch f, isFile := w.stderr.(*os.File); {
	case s.Quiet:
		return nil, func() {}
	case isFile && isTerminal(f):
		bar := sender.NewBar(w.stderr, in.size)
		return bar.Show, bar.Clear
	}
	return sender.Notices(w.stderr), func() {}
}

// isTerminal takes every character device for one: a bar in /dev/null harms nobody.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (s *sendCommand) print(w *world, summary *sender.Summary) error {
	if !s.JSON {
		return summary.WriteText(w.stdout)
	}
	return encodeJSON(w.stdout, summary)
}

// outcome is the command's error: nil only if everything was sent and nothing refused.
func outcome(ctx context.Context, s *sender.Summary, err error) error {
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("interrupted; " + next(s))
	case err != nil:
		return fmt.Errorf("%w; %s", err, next(s))
	case s.Refusals > 0 && s.DryRun:
		return fmt.Errorf("%d of %d events can't be sent as they are; correct their lines", s.Refusals, s.Events)
	case s.Refusals > 0:
		return fmt.Errorf("%d of %d events were refused; correct them and send the file again", s.Refusals, s.Events)
	}
	return nil
}

// next is what to do after a sending that did not come to its end.
func next(s *sender.Summary) string {
	switch {
	case s.DryRun:
		return "nothing was sent"
	case s.Events == s.Unanswered:
		return "no event was answered, so send the file again: what was taken nevertheless is answered as duplicate"
	case s.NextLine == 0:
		return "all events are settled"
	}
	return fmt.Sprintf("all before line %d is settled, so go on with --from-line %d", s.NextLine, s.NextLine)
}
