package config

import (
	"net"
	"net/netip"
)

// Hosts of WeChat's API. The fallback is its published disaster-recovery host.
const (
	DefaultBaseURL         = "https://api.weixin.qq.com"
	DefaultFallbackBaseURL = "https://api2.weixin.qq.com"
)

// How an account gets its access_token (accounts[].token_mode).
const (
	TokenStable = "stable" // /cgi-bin/stable_token in normal mode: safe beside other users of the same appid.
	TokenBasic  = "basic"  // /cgi-bin/token: every fetch makes the previous token end soon.
	TokenNone   = "none"   // The cloud container's side-car adds it; requests carry none.
)

// Roles of admin tokens (admin.tokens[].role).
const (
	RoleOperator = "operator" // Reads and acts.
	RoleViewer   = "viewer"   // Reads, with personal data masked.
)

// What happens to scans of waybills that WeChat never ordered (push.unknown_waybills).
const (
	UnknownWait    = "wait"
	UnknownDiscard = "discard"
)

// Config is everything that can be configured. The zero value is no usable configuration; start from [Default].
// It isn't changed after Load, so it may be read concurrently. The meaning of each key is in keys.go.
type Config struct {
	Server    Server     `yaml:"server"`
	Store     Store      `yaml:"store"`
	NATS      NATS       `yaml:"nats"`
	Sources   []Source   `yaml:"sources"`
	Accounts  []Account  `yaml:"accounts"`
	Merchants []Merchant `yaml:"merchants"`
	Platform  Platform   `yaml:"platform"`
	State     State      `yaml:"state"`
	Push      Push       `yaml:"push"`
	Verify    Verify     `yaml:"verify"`
	Admin     Admin      `yaml:"admin"`
	Log       Log        `yaml:"log"`

	loaded *loaded // Where the values came from; nil if not from Load.
}

// Server is the two listeners.
type Server struct {
	Listen         string         `yaml:"listen"`          // host:port of events and WeChat's callbacks.
	AdminListen    string         `yaml:"admin_listen"`    // host:port of admin API, console, metrics and health.
	MaxBody        Size           `yaml:"max_body"`        // Of a request to either listener.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"` // Peers whose X-Forwarded-For is believed; empty: none.
}

// AdminURL is where programs on the same machine reach the admin API: a service that listens everywhere listens on
// loopback too.
func (s Server) AdminURL() string {
	address := s.AdminListen
	host, port, err := net.SplitHostPort(address)
	if err == nil && isWildcard(host) {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + address
}

// Store is where events are kept.
type Store struct {
	URL       DSN      `yaml:"url"`       // file:FOLDER or postgres://...; see Folder and Postgres.
	Retention Duration `yaml:"retention"` // Of delivered events; 0 keeps all.
	MinFree   Size     `yaml:"min_free"`  // Free disk space below which intake answers 503; 0: no limit.
	KeyFile   string   `yaml:"key_file"`  // AES keys for Tokens at rest; empty: not encrypted. A path ready to open.
	Node      string   `yaml:"node"`      // Of PostgreSQL: this node's name; empty: the host's with random letters.
	Lease     Duration `yaml:"lease"`     // Of PostgreSQL: how long waybills stay a node's that gives no sign of life.
}

// NATS is the connection to NATS, or the server inside this process.
type NATS struct {
	URL       DSN          `yaml:"url"`        // Empty: off. NATSEmbeddedURL, or server URLs separated by commas.
	CredsFile string       `yaml:"creds_file"` // A path ready to open; empty: none. As are the files below.
	NKeyFile  string       `yaml:"nkey_file"`  // Holds a user's seed.
	User      string       `yaml:"user"`
	Password  Secret       `yaml:"password"`
	TLS       NATSTLS      `yaml:"tls"`
	Replicas  int          `yaml:"replicas"` // Of the streams that the service makes.
	Embedded  NATSEmbedded `yaml:"embedded"` // Only if URL is NATSEmbeddedURL.
}

// NATSEmbeddedURL is the nats.url that asks for a server inside this process.
const NATSEmbeddedURL = "embedded"

// NATSTLS is what TLS to the server needs beyond the system's own certificates. Any of it asks for TLS, whatever the
// URL says.
type NATSTLS struct {
	CAFile   string `yaml:"ca_file"`   // PEM; empty: the system's authorities.
	CertFile string `yaml:"cert_file"` // PEM, of this client; empty: none.
	KeyFile  string `yaml:"key_file"`  // PEM, of CertFile.
}

// NATSEmbedded is the NATS server inside this process.
type NATSEmbedded struct {
	Listen   string `yaml:"listen"`    // host:port, loopback only: the server asks for no credentials.
	StoreDir string `yaml:"store_dir"` // Of its streams.
}

// On tells whether the service is connected to NATS.
func (n NATS) On() bool { return n.URL != "" }

// IsEmbedded tells whether the server runs inside this process.
func (n NATS) IsEmbedded() bool { return n.URL == NATSEmbeddedURL }

// Source is someone who may send events over HTTP.
type Source struct {
	Name          string   `yaml:"name"` // Unique; part of NATS subjects and the scope of event ids.
	APIKey        Secret   `yaml:"api_key"`
	SigningSecret Secret   `yaml:"signing_secret"` // whsec_...; when set, api_key is not accepted.
	DeliveryIDs   []string `yaml:"delivery_ids"`   // Empty: all accounts.
	Rate          float64  `yaml:"rate"`           // Events per second over HTTP; 0: no limit.
}

// Account is a delivery company and its mini program.
type Account struct {
	DeliveryID      string   `yaml:"delivery_id"` // WeChat's id of the company; unique.
	AppID           string   `yaml:"appid"`
	Secret          Secret   `yaml:"secret"`
	BaseURL         string   `yaml:"base_url"`          // Without a slash at the end.
	FallbackBaseURL string   `yaml:"fallback_base_url"` // Tried while BaseURL's breaker is open; empty: none.
	TokenMode       string   `yaml:"token_mode"`        // TokenStable, TokenBasic or TokenNone.
	CloudTokenFile  string   `yaml:"cloud_token_file"`  // As of Merchant.
	Callback        Callback `yaml:"callback"`
	Orders          Orders   `yaml:"orders"`
	Concurrency     int      `yaml:"concurrency"` // Pushes in flight.
	Rate            float64  `yaml:"rate"`        // Pushes per second; 0: no limit.
	Timeout         Duration `yaml:"timeout"`     // Of one request.
}

// Callback is what WeChat's own pushes are verified and decrypted with.
type Callback struct {
	Token                  Secret `yaml:"token"`
	EncodingAESKey         Secret `yaml:"encoding_aes_key"`
	PreviousEncodingAESKey Secret `yaml:"previous_encoding_aes_key"`
}

// Orders is the HTTP hook that is asked about WeChat's order events when NATS is off.
type Orders struct {
	URL    string `yaml:"url"`
	Secret Secret `yaml:"secret"`
}

// Merchant is a mini program of the business side, for getPath, getOrder and batchGetOrder.
type Merchant struct {
	Name       string   `yaml:"name"`
	AppID      string   `yaml:"appid"`
	Secret     Secret   `yaml:"secret"`
	BaseURL    string   `yaml:"base_url"` // Without a slash at the end.
	TokenMode  string   `yaml:"token_mode"`
	ShopAppIDs []string `yaml:"shop_appids"`
	// CloudTokenFile holds the container's cloudbase_access_token; only if TokenMode is TokenNone. A path ready to open.
	CloudTokenFile string `yaml:"cloud_token_file"`
	// Authorizer: it has authorised the third-party platform of Platform, which then gets its access_tokens.
	Authorizer   bool   `yaml:"authorizer"`
	RefreshToken Secret `yaml:"refresh_token"` // The authorizer_refresh_token that came with that.
}

// Platform is a third-party platform (第三方平台), for merchants that have authorised it.
type Platform struct {
	AppID    string   `yaml:"appid"` // component_appid; empty: there is no platform.
	Secret   Secret   `yaml:"secret"`
	BaseURL  string   `yaml:"base_url"` // Without a slash at the end.
	Callback Callback `yaml:"callback"`
}

// State is how events are judged.
type State struct {
	ReorderWindow Duration `yaml:"reorder_window"` // How long an event waits for a missing scan; 0: not at all.
	MaxFuture     Duration `yaml:"max_future"`     // How far action_time may be ahead.
	MaxAge        Duration `yaml:"max_age"`        // How old action_time may be; 0: no limit.
	MaxActionMsg  Size     `yaml:"max_action_msg"` // Of action_msg, in bytes of UTF-8.
}

// Push is how events are sent upstream.
type Push struct {
	Retry           Retry          `yaml:"retry"`
	TokenRetries    int            `yaml:"token_retries"` // Attempts on 9300507 and 40199 before the waybill is parked.
	NoTokenWait     Duration       `yaml:"no_token_wait"` // How long a push waits for its waybill's Token.
	UnknownWaybills string         `yaml:"unknown_waybills"`
	QuotaReserve    float64        `yaml:"quota_reserve"` // 0 to 1: the share of the day's quota kept for main scans.
	Errcodes        map[int]string `yaml:"errcodes"`      // errcode to scope, over the built-in table.
	Breaker         Breaker        `yaml:"breaker"`
	Guard           Guard          `yaml:"guard"`
}

// Retry is the backoff while upstream is unavailable.
type Retry struct {
	Initial    Duration `yaml:"initial"`
	Max        Duration `yaml:"max"`
	Multiplier float64  `yaml:"multiplier"`
	MaxAge     Duration `yaml:"max_age"` // After it the push fails.
}

// Breaker is the circuit breaker that each account has.
type Breaker struct {
	MinRequests  int      `yaml:"min_requests"`
	FailureRatio float64  `yaml:"failure_ratio"` // Above 0, up to 1.
	Interval     Duration `yaml:"interval"`
	OpenFor      Duration `yaml:"open_for"`
	HalfOpen     int      `yaml:"half_open"` // Probes at a time.
}

// Guard stops an account before masses of its pushes fail for good.
type Guard struct {
	Share  float64  `yaml:"share"` // 0 to 1, of the pushes that end; 0: no guard.
	Min    int      `yaml:"min"`   // Refusals within Window that it lets through.
	Window Duration `yaml:"window"`
}

// Verify is how it is checked that upstream shows what was delivered. Without merchants nothing is.
type Verify struct {
	Share  float64  `yaml:"share"`   // 0 to 1, of the waybills; 0: only those that give cause.
	Rate   float64  `yaml:"rate"`    // Waybills per second.
	PerDay int      `yaml:"per_day"` // Calls of one merchant in a day (Asia/Shanghai).
	After  Duration `yaml:"after"`   // After a waybill's last delivery.
	Delay  Duration `yaml:"delay"`   // Within which upstream need not show a delivery.
}

// Admin is who may use the admin API and the console.
type Admin struct {
	Tokens []AdminToken `yaml:"tokens"`
}

// AdminToken is one user of the admin API.
type AdminToken struct {
	Name  string `yaml:"name"` // Unique; what the audit log says.
	Token Secret `yaml:"token"`
	Role  string `yaml:"role"` // RoleOperator or RoleViewer.
}

// Log is the service's own log.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error; slog.Level reads it.
	Format string `yaml:"format"` // text, json, or auto: text on a terminal, else json.
}
