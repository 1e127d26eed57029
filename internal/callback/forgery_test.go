package callback

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

var forgeries = flag.Int("forgeries", 30_000, "how many forged messages TestForgeriesAreRefused tries")

// original is a right message and what it says.
type original struct {
	name    string
	keys    Keys
	request request
	message *Message
	event   Event
}

func originals(t *testing.T) []original {
	t.Helper()
	var all []original
	add := func(name string, keys Keys, r request) {
		m, err := r.open(keys)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e, err := m.Decode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, original{name, keys, r, m, e})
	}
	for _, format := range []Format{XML, JSON} {
		for _, event := range []string{"add_waybill", "cancel_waybill", "get_quota"} {
			message := testdata(t, fmt.Sprint(event, ".", format))
			add(fmt.Sprint(event, " safe ", format), encryptedKeys(t), safeRequest(t, format, testKey, message))
			add(fmt.Sprint(event, " previous key ", format), encryptedKeys(t), safeRequest(t, format, previousKey, message))
			add(fmt.Sprint(event, " compatible ", format), encryptedKeys(t),
				safeRequest(t, format, testKey, message, append(head(event)[1:], asText("BizID", "beside"))...))
		}
	}
	return all
}

// same says whether a request that was changed still says exactly what the original did, signed as it was: then the
// change touched only what nobody signs and nobody reads (openid, signature beside msg_signature, what stands beside
// Encrypt), and nothing is forged.
func (o original) same(m *Message) bool {
	e, err := m.Decode()
	a, b := *m, *o.message
	a.inner, b.inner, a.Mode, b.Mode = nil, nil, 0, 0
	return err == nil && reflect.DeepEqual(e, o.event) && a == b
}

// signedPart cuts out of a request what its msg_signature is over, with the signature itself.
func signedPart(r request) string {
	values, err := url.ParseQuery(r.query)
	if err != nil {
		return "unreadable"
	}
	root, _, err := readTree([]byte(r.body))
	if err != nil {
		return "unreadable"
	}
	var encrypt []string
	for _, n := range root.named("Encrypt") {
		encrypt = append(encrypt, n.text)
	}
	return fmt.Sprintf("%q %q %q %q %q", values["msg_signature"], values["timestamp"], values["nonce"], values["encrypt_type"], encrypt)
}

// try wants a forgery refused. What isn't refused must be signed in the very same words and say the same.
func (o original) try(t *testing.T, what string, forged request) (taken bool) {
	m, err := forged.open(o.keys)
	if err != nil {
		if m != nil {
			t.Fatalf("%s, %s: a message beside the error %v", o.name, what, err)
		}
		return false
	}
	if signedPart(forged) != signedPart(o.request) || !o.same(m) {
		t.Fatalf("%s, %s: taken\n%s\n%s", o.name, what, forged.query, forged.body)
	}
	return true
}

// flip turns one bit of a request, counting from the query's first.
func (r request) flip(bit int) request {
	all := []byte(r.query + r.body)
	all[bit/8] ^= 1 << (bit % 8)
	return request{string(all[:len(r.query)]), string(all[len(r.query):])}
}

// TestEveryBitCounts flips every bit of right messages, of query and body. Nothing else than the original may come out
// of any; and where a bit of msg_signature, timestamp, nonce, encrypt_type or Encrypt is flipped, nothing at all.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	flips, untouched := 0, 0
	for _, o := range originals(t) {
		if strings.HasPrefix(o.name, "add_waybill") && o.name != "add_waybill safe xml" {
			continue // Long, and nothing in it that the others haven't.
		}
		for bit := range 8 * (len(o.request.query) + len(o.request.body)) {
			flips++
			if o.try(t, fmt.Sprint("bit ", bit), o.request.flip(bit)) {
				untouched++
			}
		}
	}
	t.Logf("%d flips; %d of them in what is neither signed nor read, and without effect", flips, untouched)
	if flips < 50_000 || untouched == 0 {
		t.Errorf("%d flips, %d without effect: the test doesn't do what it should", flips, untouched)
	}
}

// TestForgeriesAreRefused tries what somebody without the Token can: everything that was once seen, cut, joined and
// changed at random. Not one is taken.
func TestForgeriesAreRefused(t *testing.T) {
	t.Parallel()
	all := originals(t)
	rng := rand.New(rand.NewPCG(1, 2)) // The same forgeries each time.
	refused := map[string]int{}
	for n := range *forgeries {
		o, other := all[rng.IntN(len(all))], all[rng.IntN(len(all))]
		kind := forge[n%len(forge)]
		r := kind.make(rng, o.request, other.request)
		_, err := r.open(o.keys)
		if err == nil {
			if part := signedPart(r); part == signedPart(o.request) || part == signedPart(other.request) {
				continue // Chance made nothing new.
			}
			t.Fatalf("%s of %s: taken\n%s\n%s", kind.name, o.name, r.query, r.body)
		}
		if !errors.Is(err, ErrForged) && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrPlain) && !errors.Is(err, ErrStale) {
			t.Fatalf("%s of %s: refused with %v", kind.name, o.name, err)
		}
		refused[kind.name]++
	}
	for _, kind := range forge {
		if refused[kind.name] < *forgeries/len(forge)*9/10 {
			t.Errorf("%s: only %d of them were forgeries", kind.name, refused[kind.name])
		}
	}
	t.Logf("refused: %v", refused)
}

// forge are the ways to forge.
var forge = []struct {
	name string
	make func(rng *rand.Rand, r, other request) request
}{
	{"flipped bits", func(rng *rand.Rand, r, _ request) request {
		for range 2 + rng.IntN(6) {
			r = r.flip(8*len(r.query) + rng.IntN(8*len(r.body)))
		}
		return r
	}},
	{"flipped bits of the query", func(rng *rand.Rand, r, _ request) request {
		return r.set("msg_signature", flipOne(rng, r.get("msg_signature"))).set("nonce", flipOne(rng, r.get("nonce")))
	}},
	{"random signature", func(rng *rand.Rand, r, _ request) request {
		return r.set("msg_signature", fmt.Sprintf("%016x%016x%08x", rng.Uint64(), rng.Uint64(), rng.Uint32()))
	}},
	{"signed with another Token", func(rng *rand.Rand, r, _ request) request {
		token, nonce := fmt.Sprintf("T%x", rng.Uint64()), fmt.Sprint(rng.Uint32())
		return r.set("nonce", nonce).set("msg_signature", Signature(token, r.get("timestamp"), nonce, r.encrypt()))
	}},
	{"without Token, as an empty one would be", func(rng *rand.Rand, r, _ request) request {
		nonce := fmt.Sprint(rng.Uint32())
		return r.set("nonce", nonce).set("msg_signature", Signature("", r.get("timestamp"), nonce, r.encrypt()))
	}},
	{"a newer timestamp", func(rng *rand.Rand, r, _ request) request {
		return r.set("timestamp", fmt.Sprint(testTime.Unix()+1+rng.Int64N(200)))
	}},
	{"the query's signature for the body", func(rng *rand.Rand, r, _ request) request {
		return r.set("msg_signature", r.get("signature"))
	}},
	{"the query of one, the body of another", func(rng *rand.Rand, r, other request) request {
		return request{r.query, other.body}.set("nonce", r.get("nonce")+fmt.Sprint(rng.IntN(10)))
	}},
	{"blocks of two joined", func(rng *rand.Rand, r, other request) request {
		a, b := r.encrypt(), other.encrypt()
		return r.setEncrypt(a[:rng.IntN(len(a))] + b[rng.IntN(len(b)):])
	}},
	{"a cut", func(rng *rand.Rand, r, _ request) request {
		e := r.encrypt()
		return r.setEncrypt(e[:rng.IntN(len(e))])
	}},
	{"characters moved to the nonce", func(rng *rand.Rand, r, _ request) request {
		e, n := r.encrypt(), 1+rng.IntN(24) // The signed text, joined, may even stay the same.
		return r.setEncrypt(e[n:]).set("nonce", r.get("nonce")+strings.NewReplacer("+", "", "/", "").Replace(e[:n]))
	}},
	{"random letters", func(rng *rand.Rand, r, _ request) request {
		e := make([]byte, 128*(1+rng.IntN(3)))
		for i := range e {
			e[i] = base64Letters[rng.IntN(64)]
		}
		return r.setEncrypt(string(e))
	}},
	{"plain", func(rng *rand.Rand, r, _ request) request {
		r.body = string(XML.write(append(head("add_waybill"), asText("BizID", fmt.Sprint(rng.Uint32())))))
		values, _ := url.ParseQuery(r.query)
		values.Del("encrypt_type")
		return request{values.Encode(), r.body}
	}},
	{"compatible with own fields and no Encrypt", func(rng *rand.Rand, r, _ request) request {
		r.body = string(JSON.write(append(head("add_waybill"), asText("BizID", fmt.Sprint(rng.Uint32())))))
		return r
	}},
}

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func flipOne(rng *rand.Rand, text string) string {
	b := []byte(text)
	b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
	return string(b)
}

func (r request) get(name string) string {
	values, _ := url.ParseQuery(r.query)
	return values.Get(name)
}

func (r request) set(name, value string) request {
	values, _ := url.ParseQuery(r.query)
	values.Set(name, value)
	return request{values.Encode(), r.body}
}

func (r request) encrypt() string {
	root, _, err := readTree([]byte(r.body))
	if err != nil || len(root.named("Encrypt")) == 0 {
		return strings.Repeat("A", 128)
	}
	return root.named("Encrypt")[0].text
}

func (r request) setEncrypt(encrypt string) request {
	r.body = strings.Replace(r.body, r.encrypt(), encrypt, 1)
	return r
}

// TestTokenAloneIsNotEnough: who knows the Token and the AppID, but no AES key, gets nothing in that he encrypted
// himself.
func TestTokenAloneIsNotEnough(t *testing.T) {
	keys := encryptedKeys(t)
	rng := rand.New(rand.NewPCG(3, 4))
	letters := []byte(base64Letters[:62])
	for range 2000 {
		key := make([]byte, 42)
		for i := range key {
			key[i] = letters[rng.IntN(len(letters))]
		}
		encrypt := layoutOf(quotaMessage(XML)).encrypt(t, string(key)+"A")
		if m, err := envelope(XML, encrypt).open(keys); err != ErrForged || m != nil {
			t.Fatalf("got %v, %v", m, err)
		}
	}
}

// TestEveryBitOfAPlainQueryCounts, for plain messages and for the verification of the address; of the openid none does.
func TestEveryBitOfAPlainQueryCounts(t *testing.T) {
	keys, right := plainKeys(t), plainRequest(quotaMessage(XML))
	for bit := range 8 * len(right.query) {
		r := right.flip(bit)
		_, openErr := r.open(keys)
		_, verifyErr := keys.Verify(r.query+"&echostr=1", testTime)
		same := r.get("signature") == right.get("signature") && r.get("timestamp") == right.get("timestamp") && r.get("nonce") == right.get("nonce")
		if (openErr == nil || verifyErr == nil) && !same {
			t.Errorf("bit %d: taken: %s", bit, r.query)
		}
	}
}
