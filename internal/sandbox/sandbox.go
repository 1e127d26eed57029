package sandbox

import (
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Options says how a sandbox behaves. The zero value takes any appid and secret, and knows no waybill.
type Options struct {
	// Apps are the appids that get access_tokens. Empty: any appid with any secret.
	Apps []App
	// Seed makes everything random repeatable. 0: another one each time; Stats tells which.
	Seed uint64
	// Open registers an unknown waybill with the Token of its first push, instead of answering 40199.
	Open bool
	// Cloud takes pushes without an access_token, as the cloud container's 开放接口服务 does.
	Cloud bool
	// TokenLife is how long an access_token lives. 0: 7200 s, as upstream.
	TokenLife time.Duration
	// MaxMessageBytes is the limit of action_msg. 0: 1024. Upstream's own is not public.
	MaxMessageBytes int
	// MaxNodes is how many nodes are kept; the oldest are forgotten. 0: 200,000.
	MaxNodes int
	// MaxWaybills is how many waybills are known; the oldest are forgotten. 0: 1,000,000.
	MaxWaybills int
	// CountOnly keeps no nodes and registers no waybills: for measurements. Repeats are not counted then.
	CountOnly bool
	// Platform is a third-party platform. Zero: there is none.
	Platform Platform
	// Carriers are the delivery companies that order/add can choose, and how to reach them.
	Carriers []Carrier
	// CallbackTransport carries the pushes to the carriers. nil: HTTP over the network, each on its own connection.
	CallbackTransport http.RoundTripper
	// MaxCallbacks is how many pushes to carriers are kept; the oldest are forgotten. 0: 10,000.
	MaxCallbacks int
	// Logger hears of faults that are set (info) and of each push (debug). nil: silence.
	Logger *slog.Logger
}

// App is a mini program that may use the sandbox.
type App struct {
	AppID  string
	Secret string
	// DeliveryID is the delivery company that it belongs to. Empty: it may push for all.
	DeliveryID string
}

// home names the account that an app's waybills belong to.
func (a App) home() string { return cmp.Or(a.DeliveryID, a.AppID) }

// Sandbox is the simulator. It is safe for concurrent use.
type Sandbox struct {
	opts   Options
	log    *slog.Logger
	chance *chance
	tokens *tokens
	faults *faults
	ledger *ledger
	usage  *usages
	// platform is the third-party platform's side.
	platform *platform
	// refusals are what rid/get tells of.
	refusals *refusals
	// Of WeChat's own pushes:
	carriers  map[string]*carrier // by delivery_id; never changes
	client    *http.Client
	orders    *placedOrders
	callbacks *callbacks
	routes    map[string]http.HandlerFunc
	counted   map[string]bool // The calls that have a quota.
}

// New makes a sandbox. It starts nothing and panics only for options that no operator can cause, or that
// [ValidateCarriers] refuses.
func New(o Options) *Sandbox {
	o.Seed = cmp.Or(o.Seed, rand.Uint64N(1<<53)) // What JSON readers take for exact.
	o.TokenLife = cmp.Or(o.TokenLife, 7200*time.Second)
	o.MaxMessageBytes = cmp.Or(o.MaxMessageBytes, 1024)
	o.MaxNodes = cmp.Or(o.MaxNodes, 200_000)
	o.MaxWaybills = cmp.Or(o.MaxWaybills, 1_000_000)
	o.MaxCallbacks = cmp.Or(o.MaxCallbacks, 10_000)
	if o.TokenLife < time.Second || o.MaxMessageBytes < 1 || o.MaxNodes < 1 || o.MaxWaybills < 1 || o.MaxCallbacks < 1 {
		panic(fmt.Sprintf("sandbox: TokenLife %v (at least 1s), MaxMessageBytes %d, MaxNodes %d, MaxWaybills %d, MaxCallbacks %d (above 0)",
			o.TokenLife, o.MaxMessageBytes, o.MaxNodes, o.MaxWaybills, o.MaxCallbacks))
	}
	s := &Sandbox{opts: o, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)), chance: newChance(o.Seed)}
	s.tokens = newTokens(o.Apps, o.TokenLife, s.chance)
	s.faults = newFaults(s.chance)
	s.ledger = newLedger(o, s.chance)
	s.platform = newPlatform(o.Platform, s.chance)
	s.usage, s.refusals = newUsages(), newRefusals()
	s.carriers = carriersByID(o.Carriers)
	s.client = callbackClient(o.CallbackTransport)
	s.orders = newPlacedOrders(o.MaxWaybills)
	s.callbacks = &callbacks{max: o.MaxCallbacks}
	s.routes, s.counted = s.upstream(), map[string]bool{}
	for path := range s.routes {
		s.counted[path] = strings.HasPrefix(path, "/cgi-bin/express/")
	}
	guard := http.NewCrossOriginProtection()
	for path, h := range s.own() {
		s.routes[path] = guard.Handler(h).ServeHTTP
	}
	return s
}

// upstream lists the calls of the real one.
func (s *Sandbox) upstream() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"/cgi-bin/token":                          s.basicToken,
		"/cgi-bin/stable_token":                   s.stableToken,
		"/cgi-bin/component/api_component_token":  s.platformCall(s.componentToken),
		"/cgi-bin/component/api_query_auth":       s.platformCall(s.queryAuth),
		"/cgi-bin/component/api_authorizer_token": s.platformCall(s.authorizerToken),
		updateCall:                                    s.updatePath,
		"/cgi-bin/express/business/order/add":         s.addMerchantOrder,
		"/cgi-bin/express/business/order/cancel":      s.cancelMerchantOrder,
		"/cgi-bin/express/business/order/get":         s.merchantCall(s.getOrder),
		"/cgi-bin/express/business/order/batchget":    s.merchantCall(s.batchGetOrder),
		"/cgi-bin/express/business/path/get":          s.merchantCall(s.getPath),
		"/cgi-bin/express/business/test_update_order": s.merchantCall(s.testUpdateOrder),
		"/cgi-bin/openapi/quota/get":                  s.quotaGet,
		"/cgi-bin/openapi/rid/get":                    s.ridGet,
		"/cgi-bin/clear_quota":                        s.clearQuota,
	}
}

// own lists what only the sandbox has. Another site's page can't reach it through a visitor's browser.
func (s *Sandbox) own() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"/":                   s.page,
		"/_sandbox/faults":    s.serveFaults,
		"/_sandbox/nodes":     s.serveNodes,
		"/_sandbox/orders":    s.serveOrders,
		"/_sandbox/cancel":    s.serveCancel,
		"/_sandbox/callbacks": s.serveCallbacks,
		"/_sandbox/verify":    s.serveVerify,
		redirectTarget:        s.redirected,
		"/_sandbox/livez":     s.live,
		"/_sandbox/":          s.notFound,
	}
}

// ServeHTTP answers one request. Cancel the server's base context to end requests that hang by a fault.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := s.routes[r.URL.Path]; ok {
		h(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/cgi-bin/") {
		s.answer(w, r, refuse(codeURL, "the sandbox does not have "+r.URL.Path))
		return
	}
	s.notFound(w, r)
}

func (s *Sandbox) notFound(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, http.StatusNotFound, fmt.Errorf("nothing at %s; / lists what there is", r.URL.Path))
}

// live answers health checks; faults don't touch it.
func (s *Sandbox) live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}
